"""The benchmark of paired models: its curves, their plateau, and what a run leaves and reads."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from PIL import Image

from runs import trained

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import conditional


def test_steps_are_read():
    assert conditional.asked("dpmpp_2m:5,10") == ("dpmpp_2m", [5, 10])
    for wrong in ("dpmpp_2m", "sde=vp", "ddim:5;6"):
        with pytest.raises(ValueError, match="is no list of steps"):
            conditional.asked(wrong)


def test_the_plateau_is_where_more_steps_gain_nothing():
    values = {5: 0.2, 10: 0.695, 20: 0.702, 50: 0.699}
    points = {n: {"ssim_truth": value} for n, value in values.items()}
    assert conditional.plateau(points) == 10
    assert conditional.plateau(points, within=0.001) == 20


@pytest.mark.slow
def test_one_command_leaves_numbers_and_pictures(tmp_path, capsys):
    trained(tmp_path / "run", "model=conditional", "trainer.max_steps=1",
            "trainer.val_check_interval=1")  # fmt: skip
    given = ["--weights", str(tmp_path / "run" / "weights.safetensors"), "--limit", "2",
             "--out", str(tmp_path / "out"), "--steps", "dpmpp_2m:3,2",
             "--seed", "1", "--splits", "train", "test",
             "data.size=16", "trainer.accelerator=cpu"]  # fmt: skip
    conditional.main(given)
    with (tmp_path / "out" / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["split"], row["sampler"], row["steps"]) for row in rows] == [
        ("train", "dpmpp_2m", "2"), ("train", "dpmpp_2m", "3"), ("test", "dpmpp_2m", "2"),
        ("test", "dpmpp_2m", "3"),
    ]  # fmt: skip
    for row in rows:
        assert float(row["evaluations"]) == int(row["steps"])
        assert abs(float(row["ssim_truth"])) < 1 and float(row["seconds_per_image"]) > 0
    assert Image.open(tmp_path / "out" / "steps.png").width > 500
    assert Image.open(tmp_path / "out" / "test.png").height >= 4 * 16  # source, two rows, truth
    images = sorted((tmp_path / "out").rglob("images/**/*.png"))
    before = [path.stat().st_mtime_ns for path in images]
    assert before
    conditional.main(given)
    assert [path.stat().st_mtime_ns for path in images] == before
    assert "dpmpp_2m, held-out images: within 0.01 of its best SSIM at" in capsys.readouterr().out


def test_images_without_truth_are_refused(monkeypatch, tmp_path):
    found = {"metrics": {"ssim": 0.1}, "seconds_per_image": 1.0, "nfe": {"score": 2.0}}
    monkeypatch.setattr(conditional, "run", lambda *given: found)
    with pytest.raises(ValueError, match="no truth to be compared with; use paired data"):
        conditional.main(["--weights", "w", "--out", str(tmp_path), "--steps", "ddim:2"])
