"""Two processes make the files and the numbers of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from demo_networks import write_networks
from runs import TRAIN, rows

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def launched(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    program = [sys.executable, str(ROOT / script), *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True)


def test_seven_images_are_translated_and_measured_as_by_one_process(tmp_path):
    networks = [o for o in write_networks(tmp_path) if not o.startswith(("logger", "trainer"))]
    work = tmp_path / "work"
    work.mkdir()
    for trainer in ("default", "ddp_cpu"):
        ended = launched(work, "sample.py", *networks, "limit=7", f"trainer={trainer}",
                         "data.eval_batch_size=1",  # the same arithmetic, to the last bit
                         "trainer.accelerator=cpu", f"out={trainer}")  # fmt: skip
        assert ended.returncode == 0, ended.stderr
    one, two = work / "default", work / "ddp_cpu"
    assert sorted(p.name for p in work.iterdir()) == ["ddp_cpu", "default"]
    assert {p.name for p in one.rglob("*")} == {p.name for p in two.rglob("*")}
    assert len(list((two / "images").glob("*.png"))) == 7
    for name in ("images.csv", "grid.png", *(f"images/{p.name}" for p in one.glob("images/*"))):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    summaries = [json.loads((folder / "metrics.json").read_text()) for folder in (one, two)]
    assert summaries[0]["n"] == summaries[1]["n"] == 7
    assert summaries[0]["nfe"] == summaries[1]["nfe"]
    assert summaries[1]["metrics"] == summaries[0]["metrics"]


def test_two_processes_train_into_one_folder(tmp_path):
    tiny = [o for o in TRAIN if not o.startswith("trainer.accelerator")]
    ended = launched(tmp_path, "train.py", *tiny, "trainer=ddp_cpu", "out=run")
    assert ended.returncode == 0, ended.stderr
    assert "sync_dist" not in ended.stderr  # Lightning's advice on numbers that ranks do not share
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    out = tmp_path / "run"
    assert [row["step"] for row in rows(out)] == list(range(6))
    assert [row["step"] for row in rows(out) if "val/loss" in row] == [2, 5]
    saved = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 6
    assert (out / "weights.safetensors").exists() and len(list((out / "previews").iterdir())) == 2
    assert ended.stdout.count("step 6/6") == 1

    more = launched(tmp_path, "train.py", *tiny, "trainer=ddp_cpu", "trainer.max_steps=7",
                    "out=run")  # fmt: skip
    assert more.returncode == 0, more.stderr
    assert more.stdout.count("going on from step 6") == 1
    assert [row["step"] for row in rows(out)] == list(range(7))


def test_an_error_of_two_processes_is_as_readable(tmp_path):
    ended = launched(tmp_path, "train.py", *TRAIN, "trainer=ddp_cpu", "data=afhq", "out=run")
    assert ended.returncode == 1
    assert "error: no images of 'cat'" in ended.stderr and "Traceback" not in ended.stderr
