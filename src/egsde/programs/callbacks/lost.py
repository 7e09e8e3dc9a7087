"""Processes of one run end together: one that is lost ends the others, in words and with code 1.

Lightning would kill the first without a word; and the others, where the first was killed, go on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from egsde.programs.ended import FIRST, OTHER, Ended, again, numbers, tell
from egsde.programs.lock import leave

TORCHRUN = "TORCHELASTIC_RUN_ID"  # is there where torchrun has started this process
EVERY, PATIENCE, STOPPING = 0.5, 5.0, 60.0  # seconds between looks; to end by itself; to stop


class Lost(Callback):
    """Looks after the processes that Lightning or torchrun starts, from a thread of its own.

    `watch` begins before they are started: until all have met, each waits for the others.
    standing: where the work stands, in words.
    """

    def __init__(self, standing: Callable[[], str]) -> None:
        self.standing = standing
        self.over, self.met = threading.Event(), False
        self.writing: int | None = None
        self.ends = threading.Lock()  # one thread tells, and keeps it

    def watch(self, trainer: Trainer) -> None:
        """From before the first process starts the others, and in the main thread."""
        if Ended.came is not None and trainer.world_size > 1:
            reading, self.writing = os.pipe()
            os.set_blocking(self.writing, False)
            signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)
            self._start(lambda: self._listen(reading, trainer))
            # PyTorch's own words, with a trace in C++, of a connection that is cut.
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
        if any(word.startswith(OTHER) for word in sys.argv):
            first = int(os.environ.get(FIRST, os.getppid()))
            self._start(lambda: self._look_up(first))
        elif TORCHRUN in os.environ:  # which may be killed, or end at SIGUSR1, and leaves these
            starter = os.getppid()
            self._start(lambda: self._look_up(starter, STOPPING))
        elif hasattr(trainer.strategy.launcher, "procs"):
            os.environ[FIRST] = str(os.getpid())
            self._start(lambda: self._look(trainer))

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.met = True
        self._hear()

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self._hear()

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.over.set()
        self._hear()

    def _hear(self) -> None:
        """By Python's own handlers alone again."""
        if self.writing is not None:
            signal.set_wakeup_fd(-1)
            os.close(self.writing)
            self.writing = None

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True, name="lost").start()

    def _listen(self, reading: int, trainer: Trainer) -> None:
        """Until they have met: the main thread is where no handler runs while it connects."""
        with open(reading, "rb", buffering=0) as heard:
            while number := heard.read(1):
                end = time.monotonic() + PATIENCE
                while number[0] in numbers() and not (Ended.came or self.met or self.over.is_set()):
                    if time.monotonic() > end:
                        self._stop(trainer, number[0])
                    time.sleep(EVERY)

    def _stop(self, trainer: Trainer, signum: int) -> None:
        """At once, from a thread: the others, which may wait for this one, and this one."""
        self.ends.acquire()
        _kill(trainer)
        if os.environ.get("LOCAL_RANK", "0") == "0":
            tell(Ended(signum), self.standing(), Path(trainer.default_root_dir))
        leave(128 + signum)

    def _look(self, trainer: Trainer) -> None:
        """As the first process: whether one of the others has ended before the work is done."""
        while not self.over.wait(EVERY):
            for thread in threading.enumerate():
                if thread.name == "child-process-observer":  # Lightning's
                    thread._child_processes = []  # type: ignore[attr-defined]
            procs: list[Any] = list(getattr(trainer.strategy.launcher, "procs", []))
            codes = [process.poll() for process in procs]
            if not any(codes):
                continue
            rank, code = next((k, c) for k, c in enumerate(codes, 1) if c)
            # A process that has hardly begun dies of the signal itself.
            stopped = Ended.came or next((n for n in numbers() if code in (128 + n, -n)), None)
            # This one stops, too, at its next safe place; or an error of what they do together
            # says more. Before they have met it would wait for the other for half an hour.
            if self.over.wait(STOPPING if stopped and self.met else PATIENCE):
                return
            if stopped:
                self._stop(trainer, stopped)
            self.ends.acquire()
            _kill(trainer)
            how = f"signal {-code}" if code < 0 else f"exit code {code}; it has told why"
            told = f"process {rank} of {trainer.world_size} has ended with {how}"
            print(
                f"error: {told}; {self.standing()}. "
                f"It goes on with: {again(Path(trainer.default_root_dir))}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            leave(1)

    def _look_up(self, first: int, patience: float = PATIENCE) -> None:
        """As one of the others: whether the first is still there, or who has started all."""
        while not self.over.wait(EVERY):
            if os.getppid() != first:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(patience)
                leave(1)


def _kill(trainer: Trainer) -> None:
    for process in getattr(trainer.strategy.launcher, "procs", []):
        with contextlib.suppress(OSError):
            process.kill()
