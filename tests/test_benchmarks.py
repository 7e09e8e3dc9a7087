"""Every benchmark can be started: what it takes from the package is there."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    "file", sorted(BENCHMARKS.rglob("*.py")), ids=lambda f: str(f.relative_to(BENCHMARKS))
)
def test_a_benchmark_finds_what_it_takes(file, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    runpy.run_path(str(file), run_name="imported")
