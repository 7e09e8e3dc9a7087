"""Every program on a full disk: a clear error, code 1, and the same command goes on later."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import containers
from demo_networks import write_networks
from faults.children import room
from runs import command
from small_models import options_of


def child(work: Callable[[], int], limit: int | None) -> tuple[int, str]:
    """Exit code and all that a forked process prints; limit: the largest file that it may write."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        code = 70
        try:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            with room(limit) if limit is not None else contextlib.nullcontext():
                code = work()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as file:
        said = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def tool(name: str, *arguments: str) -> Callable[[], int]:
    """`egsde name arguments`, as a function that gives its exit code."""

    def work() -> int:
        from egsde.programs import cli

        sys.argv = ["egsde", name, *arguments]
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return work


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run of sample.py and the options that make it."""
    folder = tmp_path_factory.mktemp("run")
    options = [*write_networks(folder), "sampler.grid.steps=4", "limit=3", "data=fluent"]
    assert command("sample", *options, f"out={folder / 'run'}") == 0
    shutil.copytree(folder / "run", folder / "other")
    return folder, options


def programs(folder: Path, options: list[str], out: Path) -> dict[str, Callable[[], int]]:
    made, other, given = str(folder / "run"), str(folder / "other"), f"out={out}"
    judged = [o for o in options if o != "metrics=pairwise"]
    judged += ["metrics=domain", *(f"metrics.{name}=false" for name in ("fid", "kid", "prc")),
               f"judge.weights={folder / 'classifier.safetensors'}"]  # fmt: skip
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    for name, write in (("volume.npy", containers.npy), ("clip.gif", containers.gif)):
        write(folder / name, noise)
    for split in ("frames/train", "frames/test", "others/train", "others/test"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for k, frame in enumerate(noise):
            turned = frame[::-1] if split.startswith("others") else frame
            Image.fromarray(turned ^ (64 if split.endswith("test") else 0)).save(
                folder / split / f"{k}.png"
            )
    pair = (f"source={folder / 'frames'}", f"target={folder / 'others'}")
    series = [*(o for o in options if o != "data=fluent"), "data=folder", "data.series=true",
              *(f"data.{domain}" for domain in pair)]  # fmt: skip
    tiny = options_of("score", [], "data.batch_size=4", "trainer.accelerator=cpu")
    return {
        "sample": lambda: command("sample", *options, given),
        "uncertainty": lambda: command("sample", *options, "uncertainty=2", given),
        "shard": lambda: command("sample", *options, "shard=0/1", given),
        "merge": lambda: (
            command("sample", *options, "shard=0/1", given)
            or command("sample", *options, "shard=merge", given)
        ),
        "train": lambda: command("train", *tiny, given),
        "evaluate": lambda: command("evaluate", f"output={made}/images", f"source={made}/images",
                                    "metrics=pairwise",
                                    "logger=none", "trainer.accelerator=cpu", given),
        "export": tool("export", f"weights={folder / 'score.safetensors'}", "format=torchscript",
                       given),
        "compare": tool("compare", made, other, given),
        "pairs": tool("pairs", made, other, given),
        "volume": lambda: command("sample", *options, f"data.source={folder / 'volume.npy'}",
                                  "energy=none", given),
        "clip": lambda: command("sample", *options, f"data.source={folder / 'clip.gif'}",
                                "energy=none", given),
        "series": lambda: command("sample", *series, given),
        "study": tool("study", *pair, "minutes=1", "methods=sdedit", "size=16", "limit=2",
                      "steps=2", "judge=none", f"score={folder / 'score.safetensors'}",
                      "metrics=pairwise", "trainer.accelerator=cpu", "data.num_workers=0",
                      given),
        "tune": tool("tune", *judged, "minutes=0.01", "limit=2", given),
    }  # fmt: skip


PROGRAMS = ("sample", "uncertainty", "shard", "merge", "train", "evaluate", "export",
            "compare", "pairs", "tune", "volume", "clip", "series", "study")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_finds_no_room_says_so_and_goes_on_later(name, run, tmp_path):
    out, failed = tmp_path / "out", []
    work = programs(*run, out)[name]
    for size in (40_000, 6_000, 1_000, 0):
        code, said = child(work, size)
        assert code in (0, 1) and "Traceback" not in said, said
        if code:
            failed.append(size)
            assert "error: " in said and ("File too large" in said or "Make room" in said), said
    assert failed
    code, said = child(work, None)
    assert code == 0, said
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(".lock*"))
