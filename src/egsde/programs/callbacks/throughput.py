"""Log how many images a second training takes, all ranks together, validation left out."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Throughput(Callback):
    """Logs `train/images_per_second` at every log step, validation left out."""

    def __init__(self) -> None:
        self.images, self.seconds, self.started = 0, 0.0, 0.0

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seconds += time.perf_counter() - self.started
        self.images += len(batch["id"]) * trainer.world_size
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and trainer.global_step % every == 0 and self.seconds:
            module.log("train/images_per_second", self.images / self.seconds)
            self.images, self.seconds = 0, 0.0
