"""The benchmark of speed: what it counts, and what one command leaves."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import speed
import speed_clock
from speed_cases import Case, Ours


def test_operations_are_counted_as_on_paper():
    net = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    x = torch.ones(2, 3, 16, 16, requires_grad=True)
    forward = 2 * 9 * 3 * 8 * 2 * 16 * 16
    assert speed_clock.counted(lambda: net(x)) == (forward, 0)
    frozen = net.requires_grad_(False)
    assert speed_clock.counted(lambda: frozen(x).sum().backward()) == (2 * forward, 0)
    a, b = torch.ones(4, 5), torch.ones(5, 6)
    assert speed_clock.counted(lambda: a @ b) == (0, 2 * 4 * 5 * 6)


def test_the_floor_is_both_counts_at_their_peaks():
    assert speed_clock.Peaks(100.0, 50.0).floor(200, 100) == 4.0


def test_works_take_turns():
    order: list[str] = []
    works = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    taken = speed_clock.alternating(works, 2, torch.device("cpu"))
    assert order == ["a", "b"] * 3 and set(taken) == {"a", "b"}


def test_parts_of_a_step_cost_what_the_step_costs():
    """Score, the features of both images and the way back are all its operations."""
    ours = Ours(Case(32, 1, 32, torch.device("cpu")))
    ours.translated()  # makes the filter's matrices
    parts = {name: sum(speed_clock.counted(work)) for name, work in ours.parts().items()}
    whole = sum(speed_clock.counted(ours.translated))
    assert parts["score"] + parts["gradient"] + parts["filter"] == whole
    assert parts["gradient"] > 1.9 * parts["features of y"] > 0


@pytest.mark.slow
def test_one_command_leaves_numbers_and_a_picture(tmp_path):
    speed.main(["--out", str(tmp_path), "--sizes", "32", "--batches", "1", "2", "--width", "32",
                "--repeats", "1", "--device", "cpu", "--precisions", "fp32", "bf16"])  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "speed.csv").open()))
    mine = [row for row in rows if row["code"] == "ours"]
    assert [(r["precision"], r["batch"]) for r in mine] == [
        ("fp32", "1"), ("fp32", "2"), ("bf16", "1"), ("bf16", "2"),
    ]  # fmt: skip
    assert all(float(r["over_floor"]) > 1 for r in mine if r["precision"] == "fp32")
    one, two = (float(r["gflop_a_step"]) for r in mine[:2])
    assert two == pytest.approx(2 * one, rel=1e-2)
    assert "| ours |" in (tmp_path / "speed.md").read_text()
    assert Image.open(tmp_path / "speed.png").width > 300


def test_a_training_step_beside_the_bare_loop(tmp_path):
    """One evaluation of the network a step, and both loops in the table."""
    import speed_training

    mine, other = speed_training.main(
        ["--out", str(tmp_path), "--steps", "3", "data.size=8", "limit=8",
         "data.batch_size=2", "network.num_channels=32", "network.channel_mult=[1]",
         "network.num_head_channels=32", "logger=none", "trainer.accelerator=cpu"]
    )  # fmt: skip
    assert mine["calls_a_step"] == 1
    assert mine["over_bare"] == mine["seconds_a_step"] / other["seconds_a_step"]
    assert all(0 < row["outside"] < 1 for row in (mine, other))
    rows = list(csv.DictReader((tmp_path / "training.csv").open()))
    assert [row["loop"] for row in rows] == ["train.py", "bare"]
