"""What training measures of its translations: sample.py's numbers, the best, an honest stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import stand_in
from demo_networks import write_networks
from egsde.data import TwoDomains
from egsde.programs.better import mode_of
from egsde.programs.callbacks.best import BEST
from egsde.programs.callbacks.curve import verdict
from egsde.programs.sample import sample
from egsde.programs.validating import settle
from egsde.scores.container import read_weights
from egsde.scores.files import load_score
from egsde.sde import DDPM
from runs import TRAIN, composed, rows, trained

ROOT = Path(__file__).parents[1]
DROP = ("metrics", "best", "trainer.val", "trainer.accelerator")
SHORT = ["trainer.val_check_interval=2", "trainer.accelerator=cpu"]


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> list[str]:
    """A classifier for EGSDE and a stand-in for Inception."""
    folder = tmp_path_factory.mktemp("networks")
    file = write_networks(folder)[1].split("=")[1]
    return ["metrics=domain", *stand_in.options(folder / "cache"), f"judge.weights={file}",
            f"extractor.weights={file}", "t_start=0.5", "factor=2",
            "energy.weights={realism: 50, faithfulness: 2}"]  # fmt: skip


@pytest.fixture(scope="module")
def run(given, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run")
    stand_in.SEEN.clear()
    asked, inner = set(), TwoDomains.images

    def images(self, domain, split, size=None):
        asked.add(split)
        return inner(self, domain, split, size)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TwoDomains, "images", images)
        own = f"metrics.cache={tmp_path_factory.mktemp('cache')}"  # in which nothing lies yet
        others = [option for option in given if not option.startswith("metrics.cache=")]
        trained(out, *SHORT, *others, own, drop=DROP)
    (out / "seen").write_text(str(sum(stand_in.SEEN)))
    (out / "splits").write_text(" ".join(sorted(asked)))
    return out


def measured(out: Path, weights: Path, given: list[str], *more: str) -> dict[str, float]:
    """sample.py's numbers of the same images."""
    cfg = composed(
        "sample", out, "experiment=none", f"score.weights={weights}", "split=val", "limit=3",
        "metrics.protocol.reference_split=val", "data.size=16", "sampler.grid.steps=4",
        "trainer.accelerator=cpu", "logger=none", *given, *more,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an untrained network under strong energies
        sample(cfg)
    return json.loads((out / "metrics.json").read_text())["metrics"]


def test_the_series_are_the_numbers_of_sample(run, given, tmp_path):
    found = measured(tmp_path, run / "weights.safetensors", given)
    last = rows(run)[-1]
    assert {"fid", "kid", "l2", "psnr", "ssim", "domain", "kid_floor", "kid_source"} <= set(found)
    assert found == pytest.approx({k: last[f"val/{k}"] for k in found}, rel=1e-5, abs=1e-6)
    assert last["val/kid_low"] < last["val/kid"] < last["val/kid_high"]
    assert last["val/seconds"] > 0


def test_the_best_checkpoint_opens_as_the_weights_of_its_step(run, given, tmp_path):
    validated = {row["step"] + 1: row["val/kid"] for row in rows(run) if "val/kid" in row}
    assert list(validated) == [2, 4, 6]
    saved = torch.load(run / "checkpoints" / BEST, weights_only=True)
    assert saved["global_step"] == min(validated, key=validated.get)
    found = measured(tmp_path, run / "checkpoints" / BEST, given)
    assert found["kid"] == pytest.approx(min(validated.values()), rel=1e-4, abs=1e-6)


def test_energies_are_followed_along_the_trajectory(run):
    """Two steps from the middle: at 0.5 and at 0.25 of T."""
    names = {f"val/energy/{n}/t{b}" for n in ("realism", "faithfulness")
             for b in ("0.2-0.3", "0.5-0.6")}  # fmt: skip
    row = rows(run)[-1]
    assert {name for name in row if "energy" in name} == names
    assert all(np.isfinite(row[name]) for name in names)


def test_the_reference_is_looked_at_once(run):
    """3 validations of 3 images; 82 of the target and 3 sources, for all of them."""
    assert int((run / "seen").read_text()) == 9 + 82 + 3


@pytest.mark.slow
def test_the_curve_is_drawn_and_the_best_are_told(given, tmp_path, capsys):
    trained(tmp_path, *SHORT, *given, "trainer.max_steps=6", drop=DROP)
    told = capsys.readouterr().out
    assert "validation KID is best at step" in told and "more steps" in told.lower()
    assert "best: step" in told and "best.ckpt" in told
    assert Image.open(tmp_path / "curve.png").size == (720, 432)


def test_the_test_images_are_not_seen(run):
    assert (run / "splits").read_text() == "train val"


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_the_best_and_the_curve(given, tmp_path):
    for steps in (4, 6):
        trained(tmp_path, *SHORT, *given, f"trainer.max_steps={steps}", drop=DROP)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
    assert [p["step"] for p in saved["Curve"]["points"]] == [2, 4, 6]
    values = [p["value"] for p in saved["Curve"]["points"]]
    assert saved["Best"]["value"] == min(values)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("best=val/kit", "best=val/kit is unknown; did you mean best=val/kid"),
        ("objective=val/fidd", "objective=val/fidd is unknown; did you mean objective=val/fid"),
        ("objective=bits_per_dim", "objective=bits_per_dim is unknown; there is val/loss"),
        ("translate.images=0", "translate.images"),
    ],
)
def test_what_cannot_be_is_refused_before_a_step(option, words, given, tmp_path):
    with pytest.raises(ValueError, match=words):
        trained(tmp_path, *SHORT, *given, option, drop=DROP)
    assert not (tmp_path / "metrics.csv").exists()


@pytest.mark.slow
def test_a_sweep_may_minimise_a_number_of_translations(given, tmp_path):
    value = trained(tmp_path, *SHORT, *given, "objective=val/fid", "best=val/psnr",
                    "trainer.max_steps=4", drop=DROP)  # fmt: skip
    found = [row for row in rows(tmp_path) if "val/fid" in row]
    assert value == pytest.approx(found[-1]["val/fid"], rel=1e-6)
    best = max(found, key=lambda row: row["val/psnr"])
    saved = torch.load(tmp_path / "checkpoints" / BEST, weights_only=True)
    assert saved["global_step"] == best["step"] + 1


def test_without_inception_the_rest_is_measured_with_one_warning(given, tmp_path):
    absent = stand_in.options(tmp_path / "cache", "absent")
    with pytest.warns(UserWarning, match="val/kid is not measured") as said:
        trained(tmp_path, *SHORT, *given, *absent, "trainer.max_steps=2", drop=DROP)
    assert sum("is not measured" in str(w.message) for w in said) == 1
    row = rows(tmp_path)[-1]
    assert "val/kid" not in row and {"val/l2", "val/domain"} <= row.keys()
    saved = torch.load(tmp_path / "checkpoints" / BEST, weights_only=True)
    assert saved["callbacks"]["Best"]["name"] == "val/loss"


@pytest.mark.slow
def test_early_stopping_ends_a_training_that_gets_no_better(given, tmp_path):
    trained(tmp_path, "trainer.val_check_interval=1", "trainer.accelerator=cpu", *given,
            "callbacks=early", "callbacks.stopping.patience=2", "module.optimizer.lr=0",
            "trainer.max_steps=9", drop=DROP)  # fmt: skip
    assert rows(tmp_path)[-1]["step"] == 2  # one to compare with, and two that are no better


@pytest.mark.slow
def test_some_validations_may_be_left_out(given, tmp_path):
    trained(tmp_path, *SHORT, *given, "translate.every=2", "translate.columns=2", drop=DROP)
    assert [row["step"] for row in rows(tmp_path) if "val/kid" in row] == [3]
    assert [row["step"] for row in rows(tmp_path) if "val/loss" in row] == [1, 3, 5]
    assert len(list((tmp_path / "previews").iterdir())) == 1


def test_sdedit_translates_where_no_classifier_is_given(tmp_path, capsys):
    own = ["data=folder", "data.source=a", "data.target=b"]
    cfg = composed("train", tmp_path, *own)
    settle(cfg)
    assert cfg.energy._target_ == "egsde.energies.none" and "domain" not in cfg.metrics.single
    assert "SDEdit" in capsys.readouterr().out
    cfg = composed("train", tmp_path, *own, "extractor.weights=mine.safetensors")
    settle(cfg)
    assert "terms" in cfg.energy and cfg.judge.weights == "mine.safetensors"


@pytest.mark.parametrize(
    "other", [[], ["data.size=32"], ["data.source=3d", "data.target=flat"], ["sde=vp"]]
)
def test_embedded_classifiers_guide_what_they_were_trained_for(other, tmp_path):
    cfg = composed("train", tmp_path, *other)
    settle(cfg)
    assert ("terms" in cfg.energy) == ("domain" in cfg.metrics.single) == (not other)


@pytest.mark.parametrize(
    "translator",
    [
        "cycle_diffusion",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("sdedit", "egsde_fast", "ilvr")),
    ],
)
def test_validation_translates_by_any_method(translator, given, tmp_path):
    score = write_networks(tmp_path)[0].split("=")[1]
    source = [f"source_score.weights={score}"] * (translator == "cycle_diffusion")
    trained(tmp_path / "run", *given, *source, f"translator={translator}", "trainer.max_steps=1",
            "trainer.val_check_interval=1", "trainer.accelerator=cpu", "translate.images=2",
            drop=DROP)  # fmt: skip
    assert np.isfinite(rows(tmp_path / "run")[-1]["val/kid"])


def test_a_network_of_both_domains_encodes_what_it_translates_at_validation(given, tmp_path):
    """DDIB by the trained network's two labels: no source's score is given, and none stands in."""
    trained(tmp_path / "run", *given, "model=labelled", "translator=ddib", "sampler=ddim",
            "source_score.otherwise=null", "trainer.max_steps=1", "trainer.val_check_interval=1",
            "trainer.accelerator=cpu", "translate.images=2", drop=DROP)  # fmt: skip
    assert np.isfinite(rows(tmp_path / "run")[-1]["val/kid"])


@pytest.mark.slow
def test_the_configuration_of_a_run_makes_the_same_run(run, given, tmp_path):
    cfg = OmegaConf.load(run / "config.yaml")
    cfg.out = str(tmp_path)
    from egsde.programs.train import train

    train(cfg)
    assert rows(tmp_path)[-1]["val/kid"] == pytest.approx(rows(run)[-1]["val/kid"], rel=1e-5)


def point(step: int, value: float, half: float = 1.0) -> dict[str, float]:
    return {"step": step, "value": value, "low": value - half, "high": value + half}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([90, 50, 40, 30, 20, 10], "More steps would likely help"),
        ([90, 50, 10, 10.1, 9.9, 10], "would hardly help"),
        ([90, 50, 10, 20, 30, 40], "More steps would harm"),
        ([90, 50], "Too few validations"),
    ],
)
def test_the_last_third_says_whether_more_would_help(values, words):
    points = [point(100 * (i + 1), value) for i, value in enumerate(values)]
    assert words in verdict(points)
    best = 100 * (1 + values.index(min(values)))
    assert f"best at step {best}" in verdict(points)
    turned = [{k: v if k == "step" else 100 - v for k, v in p.items()} for p in points]
    turned = [p | {"low": p["high"], "high": p["low"]} for p in turned]
    assert words in verdict(turned, "psnr")  # where larger is better


def test_better_is_larger_or_smaller():
    assert [mode_of(n) for n in ("val/kid", "val/ssim_truth", "val/domain", "val/loss")] == [
        "min", "max", "max", "min"
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_measure_what_one_does(run, given, tmp_path):
    tiny = [o for o in TRAIN if not o.startswith(DROP)]
    paths = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *tiny, "trainer=ddp_cpu", "out=run",
         "trainer.val_check_interval=2", "data.batch_size=2", "data.eval_batch_size=1", *given],
        cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "run"
    found = measured(tmp_path / "sample", out / "weights.safetensors", given,
                     "data.eval_batch_size=1")  # fmt: skip
    last = rows(out)[-1]
    assert found == pytest.approx({k: last[f"val/{k}"] for k in found}, rel=1e-5, abs=1e-6)
    assert {k: v for k, v in last.items() if "energy" in k}
    one = read_weights(run / "weights.safetensors", "averaged")
    two = read_weights(out / "weights.safetensors", "averaged")
    assert all(torch.allclose(two[k], v, atol=1e-4) for k, v in one.items())
    assert load_score(out / "checkpoints" / BEST, DDPM()) is not None
