"""Stopped at any moment, by whatever stops it, a program says how it goes on, and then does.

EGSDE_STOPS=35 stops each at 35 random moments, five of every kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_networks import write_networks
from faults.forked import Forked
from faults.test_crashes import pictures, same_training, same_translations
from faults.test_workers import folders, training, translating
from runs import command

pytestmark = pytest.mark.slow
STOPS = int(os.environ.get("EGSDE_STOPS", 2))
NUMBERS = {"SIGINT": "group", "SIGTERM": "first", "SIGUSR1": "first", "SIGHUP": "group"}


def all_at_once(job: Forked) -> None:
    os.killpg(job.pid, signal.SIGTERM)


def twice(job: Forked) -> None:
    for pause in (random.Random(job.pid).choice([0.02, 0.2, 1.2]), 0):
        os.killpg(job.pid, signal.SIGINT)
        time.sleep(pause)


def a_reader(job: Forked) -> None:
    os.kill(random.Random(job.pid).choice(job.children()), signal.SIGKILL)


def one(name: str, to: str) -> Callable[[Forked], None]:
    kill = os.killpg if to == "group" else os.kill
    return lambda job: kill(job.pid, getattr(signal, name))


WAYS: list[tuple[int, Callable[[Forked], None]]] = [
    *((128 + getattr(signal, name), one(name, to)) for name, to in NUMBERS.items()),
    (143, all_at_once), (130, twice), (1, a_reader),
]  # fmt: skip


def measuring(folder: Path, out: Path) -> Callable[[], int]:
    folders(folder)
    given = [f"output={folder / 'dogs' / 'test'}", f"source={folder / 'cats' / 'test'}"]
    return lambda: command("evaluate", *given, "metrics=pairwise", "logger=none",
                           "trainer.accelerator=cpu", f"out={out}")  # fmt: skip


def sweeping(folder: Path, out: Path) -> Callable[[], int]:
    data = folders(folder, "data.eval_batch_size=2", "check=false", "limit=6", f"out={out}")
    return lambda: command("sample", "-m", *write_networks(folder), *data, "seed=0,1")


def same_numbers(out: Path, straight: Path) -> None:
    numbers = [json.loads((f / "metrics.json").read_text())["metrics"] for f in (out, straight)]
    assert numbers[0] == numbers[1]
    assert (out / "images.csv").read_bytes() == (straight / "images.csv").read_bytes()
    names = [{p.name for p in folder.rglob("*")} for folder in (out, straight)]
    assert names[0] == names[1]


def same_jobs(out: Path, straight: Path) -> None:
    for job in ("0", "1"):
        same_translations(out / job, straight / job)
    assert {p.name for p in out.iterdir()} == {p.name for p in straight.iterdir()}


def same_shard(out: Path, straight: Path) -> None:
    assert pictures(out) == pictures(straight) and len(pictures(out)) > 3


PROGRAMS = {
    "train": (training, same_training),
    "sample": (translating, same_translations),
    "shard": (lambda folder, out: translating(folder, out, "shard=0/2"), same_shard),
    "evaluate": (measuring, same_numbers),
    "sweep": (sweeping, same_jobs),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_stopped_at_any_moment_goes_on(program, tmp_path):
    make, same = PROGRAMS[program]
    out, straight = tmp_path / "out", tmp_path / "straight"
    for _ in range(2):  # the second without what a first run loads
        shutil.rmtree(straight, ignore_errors=True)
        began = time.monotonic()
        assert Forked(make(tmp_path, straight), tmp_path / "log").wait() == 0
        took = time.monotonic() - began
    chance = random.Random(program)
    ways = WAYS * (STOPS // len(WAYS)) + chance.sample(WAYS, STOPS % len(WAYS))
    for code, stop in ways:
        shutil.rmtree(out, ignore_errors=True)
        job = Forked(make(tmp_path, out), tmp_path / "log")
        job.until(job.listens)
        time.sleep(chance.uniform(0, took))
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            stop(job)
        ended = job.wait()
        assert ended in (0, code) and job.alone(), (ended, code, job.said)
        told = job.said.splitlines()
        if ended > 128:
            assert told[-2].startswith("stopped by SIG") and told[-1].startswith("to go on: ")
        assert not ended or ("o on" in told[-1] and f"out={out}" in told[-1]), job.said
        assert "Traceback" not in job.said, job.said
        again = Forked(make(tmp_path, out), tmp_path / "log")
        assert again.wait() == 0, again.said
        same(out, straight)
        assert not [p for p in out.rglob(".*") if p.name.endswith(".tmp") or ".lock" in p.name]
