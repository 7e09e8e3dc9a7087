"""The benchmark of restoration: its baselines, and what one command leaves and reads again."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from runs import trained

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import restoration


def test_mean_fill_is_the_mean_of_known_pixels_per_image_and_channel():
    x0 = torch.rand(2, 3, 4, 4)
    mask = (torch.rand(2, 1, 4, 4) > 0.4).float()
    found = restoration.mean_fill(x0, mask)
    for b in range(2):
        known = mask[b, 0] > 0
        for c in range(3):
            assert torch.equal(found[b, c][known], x0[b, c][known])
            mean = x0[b, c][known].mean().expand_as(x0[b, c][~known])
            assert torch.allclose(found[b, c][~known], mean)


def test_every_task_is_a_degradation_with_weights_of_its_own(tmp_path):
    with pytest.raises(ValueError, match="add --sr3=PATH"):
        restoration.main(["--out", str(tmp_path), "--tasks", "shrink", "--limit", "2"])


@pytest.mark.slow
def test_one_command_leaves_numbers_and_pictures(tmp_path, capsys):
    quick = ("trainer.max_steps=1", "trainer.val_check_interval=1", "translate=null")
    trained(tmp_path / "run", "model=palette", *quick, drop=("callbacks",))
    given = ["--palette", str(tmp_path / "run" / "weights.safetensors"), "--limit", "2",
             "--out", str(tmp_path / "out"), "--steps", "2", "--samples", "1", "2",
             "--tasks", "inpaint", "jpeg", "--seed", "1",
             "data.size=16", "trainer.accelerator=cpu"]  # fmt: skip
    restoration.main(given)
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["method"]) for row in rows] == [
        ("inpaint", "mean fill"), ("inpaint", "palette, sample"), ("inpaint", "palette, mean of 2"),
        ("jpeg", "JPEG"), ("jpeg", "palette, sample"), ("jpeg", "palette, mean of 2"),
    ]  # fmt: skip
    assert all(2 < float(row["psnr"]) < 60 for row in rows)
    assert [float(row["evaluations"]) for row in rows[:3]] == [0, 3, 6]  # the last one denoises
    assert Image.open(tmp_path / "out" / "restoration.png").height > 10 * 64
    images = sorted((tmp_path / "out").rglob("images/**/*.png"))
    before = [path.stat().st_mtime_ns for path in images]
    assert len(before) == 8
    restoration.main(given)
    assert [path.stat().st_mtime_ns for path in images] == before
    assert "| inpaint | mean fill |" in capsys.readouterr().out
