"""The benchmark of the cycle model on points: its measures, and what a run leaves."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import cycle


def test_the_measures_tell_the_truth_from_a_copy() -> None:
    points = cycle.Points(seed=0)
    right, copied = (cycle.measure(made(points.held_out), points) for made in (cycle.truth, id_))
    assert right["to_truth"] == 0 and right["domain"] > 0.9
    assert copied["to_source"] == 0 and copied["domain"] < 0.1
    assert right["to_source"] == pytest.approx(copied["to_truth"])


def id_(points):
    return points


@pytest.mark.slow
def test_a_run_leaves_its_table_and_picture(tmp_path: Path) -> None:
    cycle.main(["--out", str(tmp_path), "--seconds", "2", "--seeds", "0"])
    rows = list(csv.DictReader((tmp_path / "cycle.csv").open()))
    assert [row["method"] for row in rows] == ["copy", "truth", *cycle.METHODS]
    memory = {row["method"]: float(row["mib"]) for row in rows}
    assert memory["published"] > 5 * memory["mended"]  # gradients through its sampler
    assert (tmp_path / "cycle.png").exists()
