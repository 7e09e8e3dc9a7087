"""Callbacks that end a training run early, as a crash or the scheduler of a cluster would."""

from __future__ import annotations

import os
import signal
import time
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


class TerminateOne(Terminate):
    """The same, but only to the second of two processes."""

    def stop(self) -> None:
        if os.environ.get("LOCAL_RANK") == "1":
            super().stop()


class Interrupt(Crash):
    """Sends SIGINT to its own process, as Ctrl-C does."""

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


class InValidation(Terminate):
    """Sends SIGTERM in the middle of the validation after so many steps."""

    def on_train_batch_end(self, *_: Any) -> None:
        pass

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps:
            self.stop()


class Poison(Crash):
    """Makes a weight NaN after so many steps, as an overflow would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.steps:
            next(module.network.parameters()).data.fill_(float("nan"))


class Hang(Crash):
    """Goes no further."""

    def stop(self) -> None:
        time.sleep(600)


class Kill(Crash):
    """Kills its own process, as the system does where memory ends."""

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
