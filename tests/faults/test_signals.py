"""Signals and a killed process: real commands in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from demo_networks import write_networks
from runs import TRAIN

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def started(folder: Path, script: str, *arguments: str) -> subprocess.Popen:
    """In a session of its own, as a terminal's Ctrl-C goes to a whole group."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / script), *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_for(job: subprocess.Popen, path: Path, pattern: str, count: int = 1) -> None:
    for _ in range(1200):
        if len(list(path.glob(pattern))) >= count:
            return
        assert job.poll() is None, job.communicate()
        time.sleep(0.1)
    job.kill()
    raise AssertionError(f"no {pattern} in {path}: {job.communicate()}")


def group_ends(pid: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("name", "to", "code"), [("SIGINT", "group", 130), ("SIGTERM", "first", 143),
                             ("SIGUSR1", "first", 138), ("SIGHUP", "group", 129)],
)  # fmt: skip
def test_a_translation_stops_and_goes_on(name, to, code, processes, tmp_path):
    networks = [o for o in write_networks(tmp_path) if not o.startswith(("trainer", "sampler"))]
    several = ["trainer=ddp_cpu"] if processes == 2 else ["trainer.accelerator=cpu"]
    job = started(tmp_path, "sample.py", *networks, *several, "limit=40", "data.eval_batch_size=2",
                  "sampler.grid.steps=100", "out=run")  # fmt: skip
    wait_for(job, tmp_path / "run" / "images", "*.png", 4)
    began = time.perf_counter()
    kill = os.killpg if to == "group" else os.kill
    kill(job.pid, getattr(signal, name))
    out, err = job.communicate(timeout=120)
    assert job.returncode == code, err
    assert time.perf_counter() - began < 30 and group_ends(job.pid)
    told = out.splitlines()[-2:]
    made = len(list((tmp_path / "run" / "images").glob("*.png")))
    assert f"stopped by {name}" in told[0] and 4 <= made < 40 and f"{made} images" in told[0]
    assert told[1].startswith("to go on: python ") and "out=run" in told[1]
    assert "Traceback" not in err
    assert not list((tmp_path / "run").rglob("*.tmp")) and not (tmp_path / "run/.lock").exists()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("name", "to", "code"), [("SIGINT", "group", 130), ("SIGTERM", "first", 143),
                             ("SIGUSR1", "first", 138), ("SIGHUP", "group", 129)],
)  # fmt: skip
def test_a_training_stops_and_goes_on(name, to, code, processes, tmp_path):
    tiny = [o for o in TRAIN if not o.startswith(("trainer.acc", "trainer.max"))]
    several = ["trainer=ddp_cpu"] if processes == 2 else ["trainer.accelerator=cpu"]
    options = (*tiny, *several, "translate=null", "out=run")
    job = started(tmp_path, "train.py", *options, "trainer.max_steps=5000")
    wait_for(job, tmp_path / "run" / "checkpoints", "last.ckpt")
    kill = os.killpg if to == "group" else os.kill
    kill(job.pid, getattr(signal, name))
    out, err = job.communicate(timeout=120)
    assert job.returncode == code, err
    assert group_ends(job.pid) and "Traceback" not in err
    told = out.splitlines()[-2:]
    assert f"stopped by {name}: step " in told[0] and told[1].startswith("to go on: python ")
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    step = int(told[0].split("step ")[1].split()[0])
    more = started(tmp_path, "train.py", *options, f"trainer.max_steps={step + 2}")
    out, err = more.communicate(timeout=120)
    assert more.returncode == 0 and f"going on from step {step}" in out, err
    assert (tmp_path / "run" / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "to", "handled", "code"),
    [("SIGUSR1", "group", False, -signal.SIGUSR1), ("SIGUSR1", "first", False, -signal.SIGUSR1),
     ("SIGUSR1", "first", True, 1), ("SIGTERM", "first", False, 1),
     ("SIGKILL", "first", False, -signal.SIGKILL)],
)  # fmt: skip
def test_a_training_that_torchrun_has_started_is_saved(name, to, handled, code, tmp_path):
    """torchrun has exit codes of its own; it may die of the signal, or pass it on and wait."""
    tiny = [o for o in TRAIN if not o.startswith(("trainer.acc", "trainer.max"))]
    options = (*tiny, "trainer=ddp_cpu", "translate=null", "out=run", "trainer.max_steps=5000",
               "callbacks.checkpoint.every=1000")  # fmt: skip
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    program += ["--signals-to-handle=SIGTERM,SIGUSR1"] if handled else []
    with (tmp_path / "said").open("w") as said:
        job = subprocess.Popen([*program, str(ROOT / "train.py"), *options], cwd=tmp_path,
                               stdout=said, stderr=said, start_new_session=True)  # fmt: skip
    wait_for(job, tmp_path / "run", "metrics.csv")
    pids = seconds(job, "train.py")
    (os.killpg if to == "group" else os.kill)(job.pid, getattr(signal, name))
    assert job.wait(60) == code
    for _ in range(300):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            break
        time.sleep(0.1)
    words = (tmp_path / "said").read_text()
    assert len(pids) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in pids), words
    assert re.search(r"stopped by SIG\w+: step (\d+) is the last saved", words), words
    assert words.count("to go on: ") == 1, words
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_a_killed_process_ends_the_training_and_is_named(tmp_path):
    tiny = [o for o in TRAIN if not o.startswith(("trainer.acc", "trainer.max"))]
    job = started(tmp_path, "train.py", *tiny, "trainer=ddp_cpu", "translate=null",
                  "out=run", "trainer.max_steps=5000")  # fmt: skip
    wait_for(job, tmp_path / "run" / "checkpoints", "previous.ckpt")
    os.kill(second_of(job, "train.py"), signal.SIGKILL)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 1, err
    assert "process 1 of 2 has ended with signal 9" in err and "is the last saved" in err


@pytest.mark.parametrize("first", [False, True])
def test_a_lost_process_ends_the_others(first, tmp_path):
    """The first names it, with code 1; where the first itself is killed none stays behind."""
    networks = [o for o in write_networks(tmp_path) if not o.startswith(("trainer", "sampler"))]
    job = started(tmp_path, "sample.py", *networks, "limit=40", "data.eval_batch_size=2",
                  "sampler.grid.steps=100", "trainer=ddp_cpu", "out=run")  # fmt: skip
    wait_for(job, tmp_path / "run" / "images", "*.png", 4)
    second = second_of(job, "sample.py")
    os.kill(job.pid if first else second, signal.SIGKILL)
    out, err = job.communicate(timeout=120)
    assert job.returncode == (-9 if first else 1), err
    assert first or ("process 1 of 2 has ended with signal 9" in err and "It goes on with:" in err)
    assert "Traceback" not in err and group_ends(job.pid)


@pytest.mark.parametrize(
    ("to", "number", "after", "code"),
    [
        ("group", signal.SIGTERM, 0.5, 143),
        ("group", signal.SIGTERM, 3.0, 143),
        ("second", signal.SIGKILL, 0.5, 1),
        ("first", signal.SIGKILL, 0.5, -9),
    ],
)
def test_processes_that_have_not_met_end_together(to, number, after, code, tmp_path):
    """Else the first would wait for the second for half an hour."""
    tiny = [o for o in TRAIN if not o.startswith(("trainer.acc", "trainer.max"))]
    job = started(tmp_path, "train.py", *tiny, "trainer=ddp_cpu", "translate=null",
                  "out=run", "trainer.max_steps=5000")  # fmt: skip
    while not (second := seconds(job, "train.py")):
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    time.sleep(after)
    if to == "group":
        os.killpg(job.pid, number)
    else:
        os.kill(job.pid if to == "first" else second[0], number)
    out, err = job.communicate(timeout=90)
    assert job.returncode == code and group_ends(job.pid), (out, err)
    assert to == "first" or "to go on: " in out or "It goes on with: " in err


@pytest.mark.parametrize("after", [0.2, 2.0])
def test_an_evaluation_of_two_processes_stops_without_a_traceback(after, tmp_path):
    """The second, which hears of it from the first, too, while they meet or later."""
    for k in range(8):
        for folder in ("made", "cats"):
            (tmp_path / folder).mkdir(exist_ok=True)
            colour = (20 * k, 30, 40 if folder == "made" else 90)
            Image.new("RGB", (32, 32), colour).save(tmp_path / folder / f"{k}.png")
    given = ("output=made", "source=cats", "metrics=pairwise", "logger=none", "trainer=ddp_cpu")
    job = started(tmp_path, "evaluate.py", *given, "out=run")
    while not seconds(job, "evaluate.py"):
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    time.sleep(after)
    job.terminate()
    out, err = job.communicate(timeout=90)
    assert job.returncode == 143 and group_ends(job.pid), (out, err)
    assert "Traceback" not in err and "nothing was measured" in out.splitlines()[-2], (out, err)


def seconds(job: subprocess.Popen, script: str) -> list[int]:
    """The other processes that a command has started."""
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    return [int(c) for c in children if script.encode() in Path(f"/proc/{c}/cmdline").read_bytes()]


def second_of(job: subprocess.Popen, script: str) -> int:
    """The second of the two processes that a command has become."""
    (second,) = seconds(job, script)
    return second


def test_a_second_command_in_the_folder_is_refused(tmp_path):
    networks = [o for o in write_networks(tmp_path) if not o.startswith(("trainer", "sampler"))]
    options = (*networks, "trainer.accelerator=cpu", "limit=40", "data.eval_batch_size=2",
               "sampler.grid.steps=100", "out=run")  # fmt: skip
    job = started(tmp_path, "sample.py", *options)
    wait_for(job, tmp_path / "run" / "images", "*.png", 1)
    other = started(tmp_path, "sample.py", *options)
    _, err = other.communicate(timeout=120)
    assert other.returncode == 1 and "run is in use by" in err and str(job.pid) in err
    assert json.loads((tmp_path / "run" / ".lock").read_text())["process"] == job.pid
    job.kill()
    job.communicate()
    again = started(tmp_path, "sample.py", *options[:-4], "limit=4", *options[-3:])
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
