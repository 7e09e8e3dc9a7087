"""Stopped at any moment, by whatever stops it, a program says how it goes on, and then does.

EGSDE_STOPS=35 stops each at 35 random moments, as often in every way.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_networks import write_networks
from faults.forked import Forked
from faults.test_crashes import pictures, same_training, same_translations
from faults.test_searches import studying
from faults.test_workers import folders, training, translating
from runs import TRAIN, command

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow
STOPS = int(os.environ.get("EGSDE_STOPS", 0))
LIMIT = 300  # seconds for one command, on a computer that does much else
NUMBERS = {"SIGINT": "group", "SIGTERM": "first", "SIGUSR1": "first", "SIGHUP": "group"}


def all_at_once(job: Forked) -> None:
    os.killpg(job.pid, signal.SIGTERM)


def twice(job: Forked) -> None:
    for pause in (random.Random(job.pid).choice([0.02, 0.2, 1.2]), 0):
        os.killpg(job.pid, signal.SIGINT)
        time.sleep(pause)


def a_child(job: Forked, number: int = signal.SIGKILL) -> None:
    """One that reads images, or the other process of a run."""
    os.kill(random.Random(job.pid).choice(job.children()), number)


def killed(job: Forked) -> None:
    os.kill(job.pid, signal.SIGKILL)


def one(name: str, to: str) -> Callable[[Forked], None]:
    kill = os.killpg if to == "group" else os.kill
    return lambda job: kill(job.pid, getattr(signal, name))


WAYS: list[tuple[int, Callable[[Forked], None]]] = [
    *((128 + getattr(signal, name), one(name, to)) for name, to in NUMBERS.items()),
    (143, all_at_once), (130, twice),
]  # fmt: skip
ONE = [*WAYS, (1, a_child)]
TWO = [*ONE, (-9, killed), (143, lambda job: a_child(job, signal.SIGTERM))]
STARTED = [*WAYS, (-9, killed)]  # what others were started by


def measuring(folder: Path, out: Path) -> Callable[[], int]:
    folders(folder)
    given = [f"output={folder / 'dogs' / 'test'}", f"source={folder / 'cats' / 'test'}"]
    return lambda: command("evaluate", *given, "metrics=pairwise", "logger=none",
                           "trainer.accelerator=cpu", f"out={out}")  # fmt: skip


def sweeping(folder: Path, out: Path, *options: str) -> Callable[[], int]:
    data = folders(folder, "data.eval_batch_size=2", "check=false", "limit=6", f"out={out}")
    return lambda: command("sample", "-m", *write_networks(folder), *data, *options, "seed=0,1")


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


def real(program: str, *arguments: str) -> Callable[[], int]:
    """The command itself, which starts its second process by the same words."""
    words = [sys.executable, str(ROOT / f"{program}.py"), *arguments, "trainer=ddp_cpu"]
    return lambda: os.execv(words[0], words)  # type: ignore[func-returns-value]


def training_two(folder: Path, out: Path) -> Callable[[], int]:
    tiny = [o for o in TRAIN if not o.startswith(("limit", "data.size", "trainer.acc"))]
    data = folders(folder, "data.size=8", "translate=null", f"out={out}", "logger=csv")
    return real("train", *tiny, *data, "data.num_workers=0")


def translating_two(folder: Path, out: Path) -> Callable[[], int]:
    networks = [o for o in write_networks(folder) if not o.startswith("trainer")]
    data = folders(folder, "data.eval_batch_size=2", "check=false", f"out={out}")
    return real("sample", *networks, *data, "data.num_workers=0")


def sweeping_apart(folder: Path, out: Path) -> Callable[[], int]:
    return sweeping(folder, out, "hydra/launcher=subprocess")


def same_study(out: Path, straight: Path) -> None:
    for method in ("sdedit", "ilvr"):
        (out / method / "report.html").unlink(missing_ok=True)  # of one whose other was killed
        same_translations(out / method, straight / method)
    tables = []
    for folder in (out, straight):
        with (folder / "study.csv").open(newline="") as file:
            tables.append([{k: v for k, v in row.items() if k != "seconds"}
                           for row in csv.DictReader(file)])  # fmt: skip
    assert tables[0] == tables[1] and len(tables[0]) == 3


PROGRAMS = {
    "train": (training, same_training, ONE),
    "sample": (translating, same_translations, ONE),
    "shard": (lambda folder, out: translating(folder, out, "shard=0/2"), same_shard, ONE),
    "evaluate": (measuring, same_numbers, ONE),
    "sweep": (sweeping, same_jobs, ONE),
    "train of two": (training_two, same_training, TWO),
    "sample of two": (translating_two, same_translations, TWO),
    "sweep apart": (sweeping_apart, same_jobs, [*STARTED, (1, a_child)]),
    "study": (studying, same_study, [*STARTED, (0, a_child)]),
}
LONG = list(PROGRAMS)[5:]  # they start others, which import all again


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_stopped_at_any_moment_goes_on(program, tmp_path):
    make, same, ways = PROGRAMS[program]
    out, straight = tmp_path / "out", tmp_path / "straight"
    for _ in range(1 if program in LONG else 2):  # the second without what a first run loads
        shutil.rmtree(straight, ignore_errors=True)
        began = time.monotonic()
        first = Forked(make(tmp_path, straight), tmp_path / "log")
        assert first.wait(LIMIT) == 0, first.said
        took = time.monotonic() - began
    chance, counts, wrong = random.Random(program), Counter[int](), []
    stops = STOPS or (1 if program in LONG else 2)
    turns = ways * (stops // len(ways)) + chance.sample(ways, stops % len(ways))
    for code, stop in chance.sample(turns, len(turns)):
        shutil.rmtree(out, ignore_errors=True)
        moment = chance.uniform(0, took)
        try:
            counts[gone_on(make, same, tmp_path, moment, code, stop)] += 1
        except AssertionError as error:
            wrong.append(f"after {moment:.2f} of {took:.2f} s, for {code}: {error}")
            print(wrong[-1], flush=True)
        print(f"{program}: {dict(counts)}, wrong {len(wrong)}", flush=True)
    assert not wrong


def gone_on(make, same, folder: Path, moment: float, code: int, stop) -> int:
    """The code with which it ended; AssertionError for any other, and where it does not go on."""
    out, straight = folder / "out", folder / "straight"
    job = Forked(make(folder, out), folder / "log")
    job.until(job.listens)
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
        stop(job)
    ended = job.wait(LIMIT)
    assert ended in (0, code), f"{ended}: {job.said}"
    assert job.alone(), job.said
    told = job.said.splitlines()
    if ended > 128:
        assert told[-2].startswith("stopped by SIG") and told[-1].startswith("to go on: "), job.said
    if ended > 0:  # a sweep shows its table after that
        assert any(re.search(rf"go(es)? on.*out={out}", line) for line in told), job.said
    assert "Traceback" not in job.said, job.said
    again = Forked(make(folder, out), folder / "log")
    assert again.wait(LIMIT) == 0, again.said
    same(out, straight)
    left = [p for p in out.rglob(".*") if p.name.endswith(".tmp") or ".lock" in p.name]
    assert not left
    return ended
