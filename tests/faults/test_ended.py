"""What a process does with signals from the first to its end, in processes of milliseconds."""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from egsde.programs.ended import Ended, ending, hang_up


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


def test_a_closed_terminal_is_written_to_no_more(tmp_path: Path):
    """What is printed after the hang-up goes nowhere; what is printed to a file still arrives."""
    master, terminal = pty.openpty()
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)

    def work() -> None:
        os.close(master)
        os.dup2(terminal, 1)
        os.dup2(log, 2)
        os.close(terminal)
        while True:  # until the terminal is gone
            try:
                os.write(1, b".")
            except OSError:
                break
        hang_up(signal.SIGHUP)
        os.write(1, b"to nobody")
        os.write(2, b"to the file")

    def close(pid: int) -> None:
        os.close(terminal)
        os.close(master)

    assert code_of(work, close) == 0
    assert (tmp_path / "log").read_text() == "to the file"
