"""What a process does with signals from the first to its end, in processes of milliseconds."""

from __future__ import annotations

import contextlib
import logging
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from egsde.programs import cli, pairs, start, tune
from egsde.programs.callbacks import lost
from egsde.programs.callbacks.interrupts import Interrupts, Stopped
from egsde.programs.ended import Ended, again, ending, launched
from egsde.programs.lasting import outputs
from egsde.programs.lock import held
from egsde.programs.trials import Trials
from faults.forked import Forked
from faults.test_disk_full import tool
from runs import command


def code_of(work: Callable[[], None], then: Callable[[int], None] = lambda pid: None) -> int:
    """The exit code of a forked process that does `work`; then: what is done to it meanwhile."""
    if (pid := os.fork()) == 0:
        code = 99
        try:
            work()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            os._exit(code)
    then(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.001)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_a_process_that_was_stopped_is_deaf_until_its_end(name):
    """A second signal while it tells, or while Python closes, costs neither words nor code."""
    number = getattr(signal, name)

    def work() -> None:
        try:
            with ending():
                send(number)
        except Ended as error:
            for other in (signal.SIGINT, signal.SIGTERM, number):
                send(other)
            raise SystemExit(error.code) from None

    assert code_of(work) == 128 + number


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_done_is_deaf_while_python_ends(name):
    work = f"import atexit, os; atexit.register(lambda: os.kill(os.getpid(), {name}))"
    words = ("import sys", f"from signal import {name}", work,
             "from egsde.programs.start import main", "sys.argv = ['egsde', 'report', '--help']",
             "main()")  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", "; ".join(words)], capture_output=True, text=True)
    assert ended.returncode == 0 and not ended.stderr, ended.stderr


class Dropping:
    """Python drops what is raised in a finaliser, such as one that garbage collection runs."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        send(self.number)


def swallowed(number: int) -> None:
    with contextlib.suppress(BaseException):
        send(number)


def noted(number: int) -> None:
    """As in a translation whose last evaluation is over, or in a training's last step."""
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    interrupts = Interrupts()
    interrupts.begin(trainer)
    send(number)
    interrupts.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_work_that_stops_leaves_a_later_signal_to_nobody(number):
    """As torchrun sends one when it dies: Lightning's handler would speak to who has gone."""
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))

    def broadcast(*_: object) -> None:
        raise RuntimeError("connection closed by peer")

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        signal.signal(number, broadcast)
        interrupts = Interrupts()
        interrupts.begin(trainer)
        send(number)
        interrupts.end()
        send(number)
        assert signal.getsignal(signal.SIGINT) is before
        interrupts.begin(trainer)
        interrupts.received = 0  # nothing has come: all is as it was
        interrupts.end()
        raise SystemExit(3)

    assert code_of(work) == 3


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("lost", [Dropping, swallowed, noted])
def test_a_signal_is_not_lost_where_its_exception_is(lost, name, capfd):
    """A finaliser's is raised again at once, the others at the next look, at the latest the end."""
    number = getattr(signal, name)

    def work() -> None:
        began = time.monotonic()
        try:
            with ending():
                lost(number)
                while lost is Dropping and time.monotonic() < began + 5:
                    time.sleep(0.001)
        except Ended as error:
            raise SystemExit(error.code if time.monotonic() < began + 2 else 1) from None

    assert code_of(work) == 128 + number
    assert "ignored" not in capfd.readouterr().err


@pytest.mark.parametrize("lost", [swallowed, noted])
def test_nothing_long_is_begun_after_a_signal(lost, tmp_path):
    """No trial of a search, no program of a study, no evaluation or step of a trainer."""
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    interrupts = Interrupts()
    begun = {
        "trial": lambda: Trials([], tmp_path, 2).run({}),
        "program": lambda: launched([sys.executable, "-c", ""]),
        "evaluation": lambda: (interrupts.begin(trainer), interrupts.check()),
    }
    heard = []

    def work() -> None:
        with contextlib.suppress(Ended), ending():
            lost(signal.SIGINT)
            for name, begin in begun.items():
                try:
                    begin()
                except (Ended, Stopped) as error:
                    heard.append((name, error.code))
        sys.exit(heard != [(name, 130) for name in begun])

    assert code_of(work) == 0 and not list(tmp_path.iterdir())


def test_an_error_that_a_signal_has_caused_does_not_stand_for_it(monkeypatch, tmp_path):
    """As where a library's `finally` sets back what its `try` has only half made."""

    def main(arguments: list[str]) -> None:
        try:
            try:
                send(signal.SIGTERM)
            finally:
                raise AttributeError("half made")
        except AttributeError as error:
            raise ValueError("it could not be composed") from error

    monkeypatch.setattr(pairs, "main", main)
    job = Forked(tool("pairs", "a", "b"), tmp_path / "log")
    assert job.wait() == 143, job.said
    assert "stopped by SIGTERM" in job.said.splitlines()[-2] and "error" not in job.said, job.said


def test_a_search_tells_its_trials_where_an_error_hides_the_signal(monkeypatch, tmp_path):
    def work(overrides, out, *more):
        (out / "trials" / "one").mkdir(parents=True)
        (out / "trials" / "one" / "metrics.json").write_text("{}")
        try:
            send(signal.SIGINT)
        finally:
            raise AttributeError("half made")

    monkeypatch.setattr(tune, "tune", work)
    job = Forked(tool("tune", f"out={tmp_path / 'out'}"), tmp_path / "log")
    assert job.wait() == 130, job.said
    assert f"stopped by SIGINT: 1 trials are done, in {tmp_path / 'out'}" in job.said


@pytest.mark.parametrize("broken", [False, True])
def test_a_signal_while_modules_are_imported_is_told(broken, tmp_path, monkeypatch):
    """Where a command still imports what it needs, and where a module makes another error of it."""

    def imported(name: str) -> None:
        try:
            send(signal.SIGTERM)
        except Ended as error:
            if broken:
                raise ImportError(f"{name} is half made") from error
            raise

    def work() -> int:
        code = tool("pairs", "a", "b")()
        logging.getLogger("library").error("statistics")  # as PyTorch's at its end
        return code

    monkeypatch.setattr(start, "import_module", imported)
    job = Forked(work, tmp_path / "log")
    assert job.wait() == 143, job.said
    told = job.said.splitlines()
    assert told[-2].startswith("stopped by SIGTERM: ") and len(told) == 2, job.said


def test_a_command_that_is_stopped_before_it_has_done_anything_leaves_no_folder(
    tmp_path, monkeypatch
):  # fmt: skip
    monkeypatch.setattr(cli, "import_module", lambda name: send(signal.SIGTERM))
    job = Forked(lambda: command("sample", f"out={tmp_path / 'run'}"), tmp_path / "log")
    assert job.wait() == 143 and "to go on: python sample.py out=" in job.said, job.said
    assert not (tmp_path / "run").exists()


def test_a_process_that_ends_well_hears_again():
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with ending():
        assert signal.getsignal(signal.SIGINT) != before and Ended.came == 0
    assert signal.getsignal(signal.SIGINT) == before
    assert sys.unraisablehook is hook and Ended.came is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["train.py", "seed=1"], "python train.py seed=1"),
        (["/usr/bin/egsde", "train", "out=a b"], "egsde train 'out=a b'"),
        (["/lib/egsde/__main__.py", "tune", "limit=2"], "python -m egsde tune limit=2"),
    ],
)
def test_the_command_that_goes_on_is_the_one_that_was_given(given, told, monkeypatch):
    monkeypatch.setattr(sys, "argv", given)
    assert again(None) == told


@pytest.mark.parametrize("code", [143, -15])
def test_a_process_that_a_signal_has_stopped_is_not_lost(code, tmp_path, capfd, monkeypatch):
    """Also where it died of the signal itself, for it had hardly begun."""
    monkeypatch.setattr(lost, "EVERY", 0.01)
    monkeypatch.setattr(lost, "PATIENCE", 0.01)
    process = SimpleNamespace(poll=lambda: code, kill=lambda: None)
    strategy = SimpleNamespace(launcher=SimpleNamespace(procs=[process]))
    trainer = SimpleNamespace(strategy=strategy, default_root_dir=tmp_path, world_size=2)

    def work() -> None:
        watcher = lost.Lost(lambda: "all is kept")
        watcher.watch(trainer)
        time.sleep(5)

    assert code_of(work) == 143
    assert "stopped by SIGTERM: all is kept, in " in capfd.readouterr().out


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_signal_while_processes_connect_is_heard(rank, tmp_path, monkeypatch):
    """Not when the other has not come for half an hour; and no lock stays behind."""
    monkeypatch.setattr(lost, "EVERY", 0.01)
    monkeypatch.setattr(lost, "PATIENCE", 0.1)
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setenv(lost.TORCHRUN, "1")
    other = SimpleNamespace(kill=lambda: print("the other is killed", flush=True))
    strategy = SimpleNamespace(launcher=SimpleNamespace(procs=[other]))
    trainer = SimpleNamespace(strategy=strategy, world_size=2, default_root_dir=tmp_path)
    out, port = tmp_path / "out", tmp_path / "port"

    def work() -> int:
        with ending(), held(out):
            lost.Lost(lambda: "all is kept").watch(trainer)
            port.touch()
            torch.distributed.init_process_group(
                "gloo", init_method=f"file://{port}", rank=0, world_size=2
            )
        return 0

    job = Forked(work, tmp_path / "log")
    job.until(port.exists)
    time.sleep(0.1)
    os.kill(job.pid, signal.SIGTERM)
    assert job.wait(20) == 143 and not list(out.iterdir())
    told = job.said.splitlines()  # nothing comes after the two lines
    assert told[0] == "the other is killed" and len(told) == (3 if rank == "0" else 1), told
    assert rank != "0" or told[1].startswith("stopped by SIGTERM: all is kept"), told


@pytest.mark.parametrize(("rank", "late"), [("0", 0), ("1", 0), ("1", 0.6)])
def test_what_fails_alike_in_two_processes_is_told_by_the_first(rank, late, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", rank)

    def second() -> int:
        time.sleep(late)
        try:
            cli._tell("train", ValueError("both have met this"))
        finally:
            (tmp_path / "over").touch()
        return 0

    def first() -> int:
        os.environ[lost.FIRST] = str(os.getpid())
        Forked(second, tmp_path / "said")
        time.sleep(0.2)
        return 1

    assert Forked(first, tmp_path / "log").wait() == 1
    for _ in range(1000):
        if (tmp_path / "over").exists():
            break
        time.sleep(0.01)
    assert (tmp_path / "said").read_text() == ("error: both have met this\n" if rank == "0" else "")


def test_nohup_holds():
    def work() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with ending():
            send(signal.SIGHUP)

    assert code_of(work) == 0


@pytest.mark.parametrize("end", [pty.openpty, lambda: os.pipe()], ids=["terminal", "pipe"])
def test_output_whose_reader_is_gone_goes_nowhere_and_the_work_goes_on(end, tmp_path: Path):
    reading, writing = end()

    def work() -> None:
        os.close(reading)
        os.dup2(writing, 1)
        os.close(writing)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
        with outputs():
            while Path(f"/proc/{os.getpid()}/fd/1").readlink() != Path(os.devnull):
                print("." * 1000, flush=True)
            print("to nobody", flush=True)
        (tmp_path / "done").touch()

    def close(pid: int) -> None:
        os.close(writing)
        os.read(reading, 1000)
        os.close(reading)

    assert code_of(work, close) == 0
    assert (tmp_path / "done").exists()


def test_what_goes_on_is_told_as_it_was_given_while_hydra_has_other_words(monkeypatch):
    """A sweep whose jobs are programs of their own: its words are quoted for Hydra's grammar."""
    monkeypatch.setattr(sys, "argv", ["sample.py", "-m", "out='a b'", "seed=0,1"])
    monkeypatch.setattr(Ended, "words", ["sample.py", "-m", "out=a b", "seed=0,1"])
    assert again(None) == "python sample.py -m 'out=a b' seed=0,1"
