"""Loggers other than CSV, read back from what they wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from demo_networks import write_networks
from egsde.data import output_name
from runs import command, rows, trained
from wandb_files import read_run

OFFLINE = ["logger=wandb", "logger.wandb.offline=true"]


@pytest.fixture(autouse=True)
def staging(tmp_path, monkeypatch):
    """W&B's copies of the pictures stay in the test's folder."""
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))


def runs_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("run-*.wandb"))


@pytest.mark.slow
def test_wandb_has_one_finished_run_a_job(tmp_path):
    """Three jobs in one process: three ids, each with its numbers, grid and table of images."""
    chosen = write_networks(tmp_path)
    networks = [option for option in chosen if not option.startswith("logger")] + ["limit=3"]
    sweep = ["energy.weights.realism=300,500,700", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    assert command("sample", "-m", *networks, *OFFLINE, *sweep) == 0
    ids = set()
    for job, realism in enumerate((300, 500, 700)):
        out = tmp_path / "sweep" / str(job)
        (file,) = runs_below(out)
        run = read_run(file)
        ids.add(run.id)
        assert run.exit_code == 0
        assert run.config["energy"]["weights"]["realism"] == realism
        merged = {k: v for row in run.history for k, v in row.items()}
        for name, value in json.loads((out / "metrics.json").read_text())["metrics"].items():
            assert merged[name] == pytest.approx(value)
        assert merged["grid"]["_type"] == "images/separated"
        table = json.loads(run.files["images.table.json"].read_text())
        with (out / "images.csv").open(newline="") as written:
            images = list(csv.DictReader(written))
        assert table["columns"] == ["source", "translation", "truth", *images[0]]
        for (_, picture, _, *values), image in zip(table["data"], images, strict=True):
            translated = out / "images" / output_name(image["id"])
            assert run.files[picture["path"]].read_bytes() == translated.read_bytes()
            assert [str(v) for v in values] == list(image.values())
    assert len(ids) == 3


def test_wandb_shows_training(tmp_path):
    trained(tmp_path, *OFFLINE, "trainer.max_steps=3")
    (file,) = runs_below(tmp_path)
    run = read_run(file)
    assert run.exit_code == 0 and run.config["seed"] == 0
    for name in ("train/loss", "train/lr", "train/grad_norm", "val/loss", "val/l2"):
        logged = [row[name] for row in run.history if name in row]
        assert logged == pytest.approx([row[name] for row in rows(tmp_path) if name in row])
    assert sum("previews" in row for row in run.history) == 1


@pytest.mark.slow
def test_a_resumed_run_is_the_same_run(tmp_path):
    for steps in (2, 4):
        trained(tmp_path, *OFFLINE, f"trainer.max_steps={steps}", "translate=null")
    found = [read_run(file) for file in runs_below(tmp_path)]
    assert len(found) == 2 and found[0].id == found[1].id == (tmp_path / "wandb/id").read_text()


def test_wandb_is_finished_when_a_job_fails(tmp_path):
    with pytest.raises(RuntimeError, match="crashed"):
        trained(tmp_path, *OFFLINE, "+callbacks.stop._target_=stops.Crash",
                "+callbacks.stop.steps=1", "translate=null")  # fmt: skip
    import wandb

    assert wandb.run is None
    assert read_run(runs_below(tmp_path)[0]).exit_code == 1


@pytest.mark.slow
def test_tensorboard_has_scalars_and_previews(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained(tmp_path, "logger=tensorboard", "trainer.max_steps=3")
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for name in ("train/loss", "train/lr", "train/grad_norm", "val/loss"):
        logged = [event.value for event in events.Scalars(name)]
        expected = [row[name] for row in rows(tmp_path) if name in row]
        assert logged == pytest.approx(expected, rel=1e-6)
    assert [image.step for image in events.Images("previews")] == [3]
