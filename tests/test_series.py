"""docs/series.md lists what runs log, no more and no less, in every logger alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

import stand_in
from demo_networks import write_networks
from runs import TRAIN, command, rows, trained
from test_loggers import runs_below
from wandb_files import read_run

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "series.md"
METRICS = ("fid", "kid", "precision", "recall", "isc", "l2", "psnr", "ssim", "domain", "tint",
           "noise", "lpips", "ms_ssim")  # fmt: skip
SETTINGS = ("trainer.val", "trainer.accelerator", "metrics")
OFFLINE = ["logger=wandb", "logger.wandb.offline=true"]
QUICK = ["trainer.max_steps=2", "trainer.val_check_interval=2", "trainer.accelerator=cpu"]


def listed() -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE))


def of_models() -> set[str]:
    """Those that not every model has."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)$", PAGE.read_text(), re.MULTILINE)
    return {name for name, told in rows if "`model=" in told}


def plain(names: Iterable[str]) -> set[str]:
    """Names as the page has them."""
    found = set()
    for name in names:
        name = re.sub(r"/t\d\.\d-\d\.\d$", "/tA-B", name)
        name = re.sub(r"^val/energy/\w+", "val/energy/TERM", name)
        name = name.removesuffix("_source") if name.endswith("_truth_source") else name
        metric = re.fullmatch(rf"val/(?:{'|'.join(METRICS)})(_\w+)?", name)
        if metric and name != "val/kid_se":
            name = f"val/METRIC{metric[1] or ''}"
        found.add(name)
    return found - {"step", "trainer/global_step"}  # the second is W&B's


def logged(out: Path) -> set[str]:
    return plain(name for row in rows(out) for name in row)


def given(folder: Path) -> list[str]:
    """EGSDE and a stand-in for Inception."""
    folder.mkdir(exist_ok=True)
    file = write_networks(folder)[1].split("=")[1]
    return ["metrics=domain", *stand_in.options(folder / "cache"), f"extractor.weights={file}",
            f"judge.weights={file}", "energy.weights={realism: 50, faithfulness: 2}"]  # fmt: skip


def test_the_page_lists_what_a_score_logs(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained(tmp_path / "run", *given(tmp_path / "n"), *QUICK, "logger=tensorboard", drop=SETTINGS)
    found = logged(tmp_path / "run")
    assert found == listed() - of_models()
    events = reader.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    board = set(events.Tags()["scalars"]) - {"epoch", "hp_metric"}
    assert board == {name for row in rows(tmp_path / "run") for name in row} - {"step"}


def test_the_page_lists_every_name_that_a_model_writes():
    """Names in the source of trainings; what stands in braces there is filled in here."""
    text = "\n".join(path.read_text() for path in (ROOT / "src/egsde/training").rglob("*.py"))
    found = set(re.findall(r'(?:means|measured)\.add\(\s*f?"([^"]+)"', text))
    files = (yaml.safe_load(path.read_text()) for path in (ROOT / "conf/model").glob("*.yaml"))
    terms = {term for file in files for term in (file.get("module") or {}).get("terms") or ()}
    filled = {
        "train/{name}": {f"train/{term}" for term in terms},
        "{stage}/{name}": {f"{s}/{n}" for s in ("train", "val") for n in ("entropy", "cross")},
        "{stage}/distance": {"train/distance", "val/distance"},
    }
    for name in found:
        if name.endswith(("_{name}", "_{d}")):
            filled[name] = {f"{name.rpartition('_')[0]}_{domain}" for domain in "xy"}
    every = set().union(*(filled.get(name, {name}) for name in found))
    assert {"train/nce", "train/cycle_x", "train/fool_y", "val/cross"} <= every
    assert every <= listed()


@pytest.mark.slow
def test_the_page_lists_what_the_other_models_log(tmp_path):
    drop = ("network", "translate", "sampler", "metrics")
    trained(tmp_path / "classifier", "model=classifier", "network.channel_mult=[1,1]", *QUICK,
            drop=drop)  # fmt: skip
    trained(tmp_path / "unit", "model=unit_ddpm", "pairing.width=8", "pairing.depth=1", *QUICK)
    trained(tmp_path / "cycle", "model=cycle", "gradient=full", "partners=in_loop",
            "module.cycle=10", "sampler.grid.steps=2", *QUICK, drop=("sampler",))  # fmt: skip
    every = set().union(*(logged(tmp_path / n) for n in ("classifier", "unit", "cycle")))
    assert every <= listed()
    assert {n for n in listed() if "accuracy" in n or "cycle" in n or "total" in n} <= every


@pytest.mark.slow
def test_wandb_has_every_series_of_a_training_and_of_a_sweep(tmp_path, monkeypatch, capfd):
    for name, folder in (("DATA", "staging"), ("CACHE", "cache")):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / folder))
    kept = [o for o in TRAIN if not o.startswith(SETTINGS)]
    options = [*kept, *given(tmp_path / "n"), *QUICK, *OFFLINE]
    capfd.readouterr()
    assert command("train", *options, f"out={tmp_path / 'alone'}") == 0
    told = capfd.readouterr()
    every = (told.out + told.err).splitlines()
    lines = [line for line in every if line.lower().startswith(("wandb", "w&b"))]
    assert len(lines) == 1 and lines[0].startswith("W&B: wandb sync ")
    alone = read_run(runs_below(tmp_path / "alone")[0])
    assert (alone.name, alone.group, alone.job_type) == ("alone", "", "train")
    assert {"score", "egsde", "fluent", "ddpm"} <= set(alone.tags)
    assert alone.config["sampler"]["grid"]["steps"] == 4
    names = {name for row in alone.history for name in row if "/" in name}
    assert plain(names) == logged(tmp_path / "alone")
    merged = {k: v for row in alone.history for k, v in row.items()}
    assert merged["previews"]["_type"] == "images/separated"
    table = merged["validation"]
    assert table["_type"] == "table-file" and table["nrows"] == 3
    (file,) = (p for name, p in alone.files.items() if "validation" in name and "table" in name)
    assert {"source", "translation", "truth", "psnr", "ssim"} <= set(_columns(file))

    sweep = [f"hydra.sweep.dir={tmp_path / 'rates'}", "module.optimizer.lr=1e-4,1e-3,1e-2"]
    assert command("train", "-m", *options, *sweep, "objective=val/fid") == 0
    runs = [read_run(runs_below(tmp_path / "rates" / str(job))[0]) for job in range(3)]
    assert [run.name for run in runs] == ["rates/0", "rates/1", "rates/2"]
    assert {run.group for run in runs} == {"rates"} and len({run.id for run in runs}) == 3
    assert [run.config["module"]["optimizer"]["lr"] for run in runs] == [1e-4, 1e-3, 1e-2]
    for run in runs:
        found = {name for row in run.history for name in row if "/" in name}
        assert plain(found) == plain(names)


def _columns(file: Path) -> list[str]:
    import json

    return json.loads(file.read_text())["columns"]
