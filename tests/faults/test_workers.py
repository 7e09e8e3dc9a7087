"""Processes that read images: one that is killed is told, signals to all of them lose nothing."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import Dataset

from demo_networks import write_networks
from egsde.data.workers import Loader, loader_options
from egsde.programs.callbacks.checkpoints import TwoFiles
from egsde.programs.ended import Ended, ending
from egsde.programs.messages import readable
from egsde.programs.run import together
from faults.forked import Forked
from faults.test_crashes import pictures, same_training, same_translations
from runs import TRAIN, command


class Numbers(Dataset):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> int:
        return i


def killed(workers: list[int], of: Exception) -> None:
    """A reader dies, and `of` is raised while PyTorch says so."""
    try:
        os.kill(workers[1], signal.SIGKILL)
        time.sleep(1)
    finally:
        raise of


def read(then) -> list[int]:
    """The numbers by way of two processes, with `then` done to these once both have answered."""
    loader = Loader(Numbers(), **loader_options(2))
    batches, found = iter(loader), []
    for batch in batches:
        if len(found) == 1:
            then([worker.pid for worker in batches._workers])
        found += batch.tolist()
    return found


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_workers_are_deaf_to_what_stops_the_work(name):
    def tell(workers: list[int]) -> None:
        subprocess.run(["kill", f"-{name}", *map(str, workers)], check=True)  # from elsewhere
        time.sleep(0.05)

    assert read(tell) == list(range(40))


def test_a_worker_that_hangs_is_ended_by_its_parent():
    loader = Loader(Numbers(), **loader_options(1))
    batches = iter(loader)
    next(batches)
    (worker,) = batches._workers
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("where", ["parent", "child"])
def test_a_signal_while_workers_are_started_waits_until_they_are(
    where, name, tmp_path, monkeypatch
):  # fmt: skip
    """Neither half an iterator, which cannot be closed, nor a worker that dies of it."""
    number, start = getattr(signal, name), BaseProcess.start

    def started(process: BaseProcess) -> None:
        start(process)
        if len(multiprocessing.active_children()) == 2:
            signal.raise_signal(number)

    def work() -> int:
        code = 0
        try:
            with ending():
                if where == "child":
                    os.register_at_fork(after_in_child=lambda: signal.raise_signal(number))
                else:
                    monkeypatch.setattr(BaseProcess, "start", started)
                numbers = read(lambda workers: None)
        except Ended as error:
            code = error.code
        else:
            assert numbers == list(range(40))
        gc.collect()
        return code

    job = Forked(work, tmp_path / "log")
    assert job.wait() == (128 + number if where == "parent" else 0), job.said
    assert job.alone() and job.said == ""


def test_a_worker_that_is_killed_in_a_save_is_no_disk_that_is_full(tmp_path, monkeypatch):
    """What PyTorch raises then comes wherever the program is."""

    def save(workers: list[int]) -> None:
        monkeypatch.setattr(
            torch, "save", lambda *_: (os.kill(workers[0], signal.SIGKILL), time.sleep(5))
        )
        files = TwoFiles()
        with pytest.raises(RuntimeError) as caught:
            files.save_checkpoint({"global_step": 1}, tmp_path / "last.ckpt")
        assert files.error is None and "reads images" in str(readable(caught.value))
        raise caught.value

    with pytest.raises(RuntimeError, match="killed"):
        read(save)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGBUS"])
def test_a_worker_that_is_killed_is_told(name):
    with pytest.raises(RuntimeError) as caught:
        read(lambda workers: (os.kill(workers[1], getattr(signal, name)), time.sleep(1)))
    told = readable(caught.value)
    assert told is not None and "data.num_workers=1" in told and "\n" not in told


def test_a_worker_that_is_killed_is_told_whatever_that_has_broken(tmp_path):
    """As where a thread is just being started, which ends in an error of Python's own."""
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))

    with (
        pytest.raises(ValueError, match=r"reads images has ended.*; all is kept. It goes on with"),
        together(trainer, tmp_path, lambda: "all is kept"),
    ):
        read(lambda workers: killed(workers, KeyError("half started")))


def test_a_worker_that_is_killed_is_told_once():
    """Also where a ValueError has met it on its way, but not again where it is told."""
    with pytest.raises(ValueError, match="half a file") as caught:
        read(lambda workers: killed(workers, ValueError("half a file")))
    assert str(readable(caught.value)).startswith("a process that reads images has ended")
    with pytest.raises(ValueError) as again:
        try:
            raise caught.value
        except ValueError:
            raise ValueError("it goes on with: python train.py") from None
    assert readable(again.value) == "it goes on with: python train.py"


class Bad(Numbers):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, i: int) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("x.png is cut;\nremove it"), "x.png is cut;\nremove it"),
        (FileNotFoundError(2, "No such file", "x.png"), "[Errno 2] No such file: 'x.png'"),
        (MemoryError(), "out of memory: use a smaller data.batch_size"),
        (ZeroDivisionError("ours"), None),
    ],
)
def test_what_goes_wrong_in_a_worker_is_told_as_elsewhere(error, said):
    with pytest.raises(type(error)) as caught:
        next(iter(Loader(Bad(error), **loader_options(1))))
    told = readable(caught.value)
    assert (told is None) if said is None else str(told).startswith(said)


def folders(folder: Path, *options: str) -> list[str]:
    """Options for two folders of twelve pictures, read by two processes each time."""
    torch.manual_seed(0)
    from PIL import Image

    for domain in ("cats", "dogs"):
        for split, count in (("train", 8), ("val", 4), ("test", 12)):
            (folder / domain / split).mkdir(parents=True, exist_ok=True)
            for k in range(count):
                pixels = torch.randint(0, 256, (20, 20, 3), dtype=torch.uint8).numpy()
                Image.fromarray(pixels).save(folder / domain / split / f"{k}.png")
    return ["data=folder", f"data.source={folder / 'cats'}", f"data.target={folder / 'dogs'}",
            "data.num_workers=2", "data.cache_mib=0", *options]  # fmt: skip


def training(folder: Path, out: Path, *options: str):
    tiny = [o for o in TRAIN if not o.startswith(("limit", "data.size"))]
    data = folders(folder, "data.size=8", "translate=null", f"out={out}")
    return lambda: command("train", *tiny, *data, *options)


def translating(folder: Path, out: Path, *options: str):
    data = folders(folder, "data.eval_batch_size=2", "check=false", f"out={out}")
    return lambda: command("sample", *write_networks(folder), *data, *options)


def trains(job: Forked, out: Path) -> None:
    job.until(lambda: (out / "checkpoints" / "last.ckpt").exists() and len(job.children()) >= 2)


def translates(job: Forked, out: Path) -> None:
    job.until(lambda: len(pictures(out)) >= 2)


KINDS = {"train": (training, trains, same_training),
         "sample": (translating, translates, same_translations)}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("which", KINDS)
def test_a_program_whose_worker_is_killed_says_so_and_goes_on(which, tmp_path):
    make, there, same = KINDS[which]
    out, straight = tmp_path / "out", tmp_path / "straight"
    assert Forked(make(tmp_path, straight), tmp_path / "straight.log").wait() == 0
    job = Forked(make(tmp_path, out), tmp_path / "log")
    there(job, out)
    os.kill(job.children()[0], signal.SIGKILL)
    assert job.wait() == 1 and job.alone(), job.said
    assert "Traceback" not in job.said
    assert re.search(r"error: a process that reads images has ended( \(Killed\))?, as", job.said)
    assert "It goes on with: " in job.said and f"out={out}" in job.said
    again = Forked(make(tmp_path, out), tmp_path / "log")
    assert again.wait() == 0, again.said
    same(out, straight)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("which", KINDS)
def test_a_signal_to_all_processes_stops_as_one_to_the_first(which, name, tmp_path):
    make, there, same = KINDS[which]
    out, straight = tmp_path / "out", tmp_path / "straight"
    assert Forked(make(tmp_path, straight), tmp_path / "straight.log").wait() == 0
    job = Forked(make(tmp_path, out), tmp_path / "log")
    there(job, out)
    number = getattr(signal, name)
    os.killpg(job.pid, number)
    assert job.wait() == 128 + number and job.alone(), job.said
    assert "Traceback" not in job.said and f"stopped by {name}" in job.said.splitlines()[-2]
    again = Forked(make(tmp_path, out), tmp_path / "log")
    assert again.wait() == 0, again.said
    same(out, straight)
