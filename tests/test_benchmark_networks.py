"""The tables of what networks cost and of how many images they need: what one command leaves."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import networks


def test_memory_grows_with_pixels_and_with_a_way_back(tmp_path):
    found = {}
    for gradient in ([], ["--gradient"]):
        options = ["--networks", "tiny", "--sizes", "16", "32", "--batches", "1", "2"]
        networks.main(["--out", str(tmp_path), "--repeats", "1", *options, *gradient])
        with (tmp_path / "networks.csv").open() as file:
            rows = list(csv.DictReader(file))
        found[bool(gradient)] = {(r["px"], r["batch"]): float(r["MiB an image"]) for r in rows}
        assert all(float(row["ms an image"]) > 0 for row in rows) and len(rows) == 4
    without, back = found[False], found[True]
    assert 3 < without["32", "1"] / without["16", "1"] < 5
    assert all(back[key] > 3 * without[key] for key in back)
