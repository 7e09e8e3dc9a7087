"""docs/architecture.md counts what a reader opens: the files are there, as long as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from test_layers import FLOORS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"\| (\d+) files?, (\d+) lines: (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("files", "lines", "named"), ROWS, ids=[row[2][:40] for row in ROWS])
def test_a_reader_opens_what_is_told(files, lines, named):
    paths = [ROOT / "src" / "egsde" / name for name in re.findall(r"`([^`]+)`", named)]
    counted = sum(len(path.read_text().splitlines()) for path in paths)
    assert len(paths) == int(files) and abs(counted - int(lines)) <= 0.05 * int(lines)


def test_floors_are_those_of_the_test():
    told = [set(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\| \d \|(.+?)\|", PAGE, re.M)]
    floors = [floor - {"__main__", "train", "sample", "evaluate"} for floor in FLOORS[1:]]
    assert told == floors
    drawn = (ROOT / "CONTRIBUTING.md").read_text().partition("Imports go down only")[2]
    lines = re.findall(r"^ {4}(\w.*?)(?: {4}.*)?$", drawn.partition("## Adding")[0], re.MULTILINE)
    rows = [set(line.split()) for line in lines]
    assert set().union(*rows) == set().union(*floors)
    height = {room: k for k, floor in enumerate(floors) for room in floor}
    tops = [max(height[room] for room in row) for row in rows]
    assert tops == sorted(tops, reverse=True) and len(set(tops)) == len(floors)


def test_the_plain_solver_is_short():
    path = ROOT / "src" / "egsde" / "solvers" / "exponential" / "dpmpp_2m.py"
    assert len(path.read_text().splitlines()) < 60
