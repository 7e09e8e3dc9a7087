"""The legs for a GPU, in miniature on a CPU: what they leave, and that a cut one goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MINIATURE = {
    "SPEED": "--sizes 32 --batches 1 --width 32 --repeats 1 --device cpu",
    "PRECISIONS": "fp32 bf16",
    "TESTS": "tests/test_gpu.py",
    "CUDA_VISIBLE_DEVICES": "",
}


def leg(out: Path, runs: Path, name: str, **more: str) -> dict:
    """summary.json after a leg."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, **MINIATURE, "RUNS": str(runs), "PATH": path, **more}
    script = str(ROOT / "benchmarks" / "gpu.sh")
    ended = subprocess.run(["bash", script, str(out), name], env=settings, capture_output=True,
                           text=True)  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads((out / "summary.json").read_text())


@pytest.mark.slow
def test_a_leg_of_speed_goes_on_and_keeps_what_was_found(tmp_path):
    out, runs = tmp_path / "out", tmp_path / "runs"
    first = leg(out, runs, "speed", PRECISIONS="fp32")
    assert set(first) == {"speed_fp32"}
    row = first["speed_fp32"][0]
    assert row["code"] == "ours" and float(row["seconds_a_step"]) > 0
    both = leg(out, runs, "speed")
    assert both["speed_fp32"] == first["speed_fp32"]  # not measured again
    assert both["speed_bf16"][0]["precision"] == "bf16"
    assert sorted(path.name for path in out.iterdir()) == ["small.tar", "summary.json"]
    with tarfile.open(out / "small.tar") as archive:
        assert {"gpu_tests.txt", "speed_fp32.csv", "speed_bf16.csv"} <= set(archive.getnames())


def test_there_are_five_legs():
    """Each is a function of the script, and no leg is the whole of them."""
    script = (ROOT / "benchmarks" / "gpu.sh").read_text()
    named = script.split("for leg in ")[1].split(";")[0].split()
    assert named == ["speed", "score", "guides", "faces", "translate"]
    assert all(f"\n{name}() {{" in script for name in named)
