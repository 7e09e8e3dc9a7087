"""Ctrl-C, SIGTERM, SIGUSR1 (SLURM, before the time is up), SIGHUP: stop where nothing is lost.

The first signal is only noted; the work goes to its next safe place, a step or a network
evaluation, and stops there. A second Ctrl-C, a second later or more, stops at once, without a save.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.programs.ended import Ended, numbers


class Stopped(Exception):
    """Work that was asked to stop has stopped; `code` is the exit code that says so."""

    heard = True  # all processes stop at the same step

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.code = signum, 128 + signum


class Interrupts:
    """Notes the signals from `begin` to `end`; `received` is the first, or 0.

    children: processes of the same run, which are told. until: what to say at once of when the work
    stops, where that may take long.
    """

    def __init__(self, until: Callable[[Any], str] | None = None) -> None:
        self.until, self.trainer = until, None
        self.received, self.since = 0, 0.0
        self.before: dict[int, Any] = {}
        self.children: list[Any] = []

    def begin(self, trainer: Any) -> None:
        """Once Lightning has set its own handlers, with which ranks stop apart."""
        self.trainer = trainer
        self.received = Ended.came or 0
        self.children = getattr(trainer.strategy.launcher, "procs", [])
        if threading.current_thread() is threading.main_thread():
            for number in numbers():
                self.before[number] = signal.signal(number, self._note)

    def end(self) -> None:
        """As before; work that stops is deaf to what is still sent but for a second Ctrl-C to the
        first process: Lightning's handler of SIGTERM would speak to processes that have gone."""
        for number, handler in self.before.items():
            heard = number == signal.SIGINT and not getattr(rank_zero_only, "rank", 0)
            signal.signal(number, signal.SIG_IGN if self.received and not heard else handler)
        self.before = {}

    def check(self) -> None:
        """`Stopped` where a signal has come."""
        if self.received:
            raise Stopped(self.received)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.received:
            if signum == signal.SIGINT and time.monotonic() - self.since > 1:
                raise Ended(signum)
            return
        self.received, self.since = signum, time.monotonic()
        Ended.note(signum)
        if self.until is not None and not getattr(rank_zero_only, "rank", 0):
            said = f"{signal.Signals(signum).name}: stops {self.until(self.trainer)}\n"
            with contextlib.suppress(OSError):
                os.write(2, said.encode())  # not by print, which this may have interrupted
        for child in self.children:
            with contextlib.suppress(OSError):
                child.send_signal(signum)
