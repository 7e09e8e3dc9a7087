"""The benchmark of gradient modes: what it leaves out, and what one command leaves."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import memory

NET = ["network.num_channels=32", "network.channel_mult=[1,1]", "network.num_head_channels=32"]


def test_a_point_is_expected_on_the_line_through_two():
    points = [memory.Point("full", 32, n, 10.0 * n, 1.0) for n in (5, 10)]
    assert memory.expected(points, 40, "mib") == pytest.approx(400)
    assert memory.expected(points[:1], 40, "mib") == 0
    points.append(memory.Point("full", 32, 20, None, None, "left out"))
    assert memory.expected(points, 40, "mib") == pytest.approx(400)


@pytest.mark.slow
def test_one_command_leaves_numbers_and_a_picture(tmp_path, capsys):
    memory.main(["--steps", "2", "4", "60", "--sizes", "16", "--limit-mib", "0.01",
                 "--modes", "none", "full", "checkpointed", "adjoint",
                 "--device", "cpu", "--out", str(tmp_path), *NET])  # fmt: skip
    with (tmp_path / "memory.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    mib = {(r["mode"], int(r["steps"])): float(r["mib"]) for r in rows if r["mib"]}
    grown = mib["full", 4] / mib["full", 2]
    assert 1.5 < grown < 2.1  # parameters, too
    assert mib["checkpointed", 4] < 1.02 * mib["checkpointed", 2]
    assert mib["adjoint", 4] < 1.02 * mib["adjoint", 2]
    assert mib["none", 4] < 0.2 * mib["checkpointed", 4]
    assert ("full", 60) not in mib
    left = [r["left_out"] for r in rows if r["mode"] == "full" and r["steps"] == "60"]
    assert left[0].startswith("about") and left[0].endswith("mib expected")
    assert Image.open(tmp_path / "memory.png").width > 300
