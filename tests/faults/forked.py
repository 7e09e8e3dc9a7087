"""A command in a process of its own, forked, so that nothing is imported again, to do harm to."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Forked:
    """`work` gives an exit code; it runs in a session of its own, and prints into `log`."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        self.log, self.code = log, None
        gc.collect()  # loaders of other tests, whose processes are not the child's to close
        if (pid := os.fork()) == 0:
            code = 70
            try:
                os.setsid()
                file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(file, 1)
                os.dup2(file, 2)
                sys.unraisablehook = sys.__unraisablehook__  # that of pytest keeps them
                sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1, closefd=False)
                sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)
                code = work()
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                sys.stdout.flush()
                os._exit(code)
        self.pid = pid

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def children(self) -> list[int]:
        return [
            int(c) for c in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        ]

    def listens(self) -> bool:
        """Whether it has taken over SIGUSR1, of which it would die without a word."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        return bool(caught >> (signal.SIGUSR1 - 1) & 1)

    def until(self, there: Callable[[], bool], seconds: float = 120) -> None:
        """Waits; AssertionError with what was said where it ends before, or it takes too long."""
        end = time.monotonic() + seconds
        while not there():
            assert not self.ended() and time.monotonic() < end, self.said
            time.sleep(0.005)

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, seconds: float = 120) -> int:
        """The exit code; the process is killed where it does not end."""
        end = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < end:
            time.sleep(0.005)
        late = not self.ended()
        if late:
            os.killpg(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert not late, f"it did not end: {self.said}"
        return code

    def alone(self) -> bool:
        """Whether nothing of its session is left, soon."""
        for _ in range(1200):
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        return False
