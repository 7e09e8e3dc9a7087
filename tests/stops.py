"""Callbacks that end a training run early, as a crash or the scheduler of a cluster would."""

from __future__ import annotations

import os
import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Crash(Callback):
    """Raises after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.steps:
            self.stop()

    def stop(self) -> None:
        raise RuntimeError("crashed")


class Terminate(Crash):
    """Sends SIGTERM to its own process."""

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
