"""What a process does with signals from the first to its end, in processes of milliseconds."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from egsde.programs.ended import Ended, ending
from egsde.programs.lasting import outputs


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


def test_a_process_that_ends_well_hears_again():
    before = signal.getsignal(signal.SIGINT)
    with ending():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


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
