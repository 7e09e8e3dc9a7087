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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from egsde.programs.ended import again

OTHER = "hydra.job.name=train_ddp_process"  # what Lightning starts the others with
EVERY, PATIENCE = 0.5, 5.0  # seconds between looks; for a process to end by itself


class Lost(Callback):
    """Looks after the processes that Lightning has started, from a thread of its own."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        procs, parent = getattr(trainer.strategy.launcher, "procs", []), os.getppid()
        if procs:
            self._start(lambda: self._look(trainer, procs))
        elif any(word.startswith(OTHER) for word in sys.argv):
            self._start(lambda: self._look_up(parent))

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.over.set()

    def _start(self, work: Callable[[], None]) -> None:
        for thread in threading.enumerate():
            if thread.name == "child-process-observer":  # Lightning's
                thread._child_processes = []  # type: ignore[attr-defined]
        threading.Thread(target=work, daemon=True, name="lost").start()

    def _look(self, trainer: Trainer, procs: Sequence[Any]) -> None:
        """As the first process: whether one of the others has ended badly."""
        while not self.over.wait(EVERY):
            codes = [process.poll() for process in procs]
            if not any(codes):
                continue
            time.sleep(PATIENCE)  # an error of what they do together says more
            if self.over.is_set():
                return
            rank, code = next((k, c) for k, c in enumerate(codes, 1) if c)
            how = f"signal {-code}" if code < 0 else f"exit code {code}; it has told why"
            told = f"process {rank} of {trainer.world_size} has ended with {how}"
            for process in procs:
                with contextlib.suppress(OSError):
                    process.kill()
            print(
                f"error: {told}; what was finished is kept. It goes on with: "
                f"{again(Path(trainer.default_root_dir))}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
            os._exit(1)

    def _look_up(self, parent: int) -> None:
        """As one of the others: whether the first is still there."""
        while not self.over.wait(EVERY):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(PATIENCE)
                os._exit(1)
