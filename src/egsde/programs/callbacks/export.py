"""What training leaves: `weights.safetensors`, checkpoints with the configuration inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from egsde.scores.container import save_weights

RECORDED = ("kind", "network", "sde", "prediction", "data", "seed")


class Export(Callback):
    """`half`: store float16; `use`: which weights the file holds, of "averaged" and "raw"."""

    def __init__(
        self, out: str | Path, half: bool = False, use: Sequence[str] = ("averaged", "raw")
    ) -> None:
        self.out, self.half, self.use = Path(out), half, use
        self.config: dict[str, Any] = {}  # plain and resolved; set by the entry point
        self.allow: Sequence[str] = ()  # so, too

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["config"] = self.config

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Here and not at the end, when Lightning has already gone over to the next epoch: a run
        # that is resumed with more steps then sees the images that it would have seen.
        if trainer.global_step == trainer.max_steps:
            self._save_checkpoint(trainer)

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        # Lightning raises it between two steps, so the state is whole; another error may not be.
        if isinstance(exception, SIGTERMException):
            self._save_checkpoint(trainer)

    def _save_checkpoint(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.out / "checkpoints" / "last.ckpt")

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.global_step != trainer.max_steps:
            self._save_checkpoint(trainer)
        if not trainer.is_global_zero:
            return
        modules: Any = module
        everything = {"averaged": modules.ema.net, "raw": modules.network}
        trained = {key: self.config[key] for key in RECORDED} | {
            "steps": trainer.global_step,
            "validation": validation(trainer),
        }
        networks = {name: everything[name] for name in self.use}
        save_weights(self.out / "weights.safetensors", networks, trained, self.half, self.allow)


def validation(trainer: Trainer) -> dict[str, float]:
    """The last validation's numbers: what a run asks of a classifier's file."""
    measured = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    return {k: v for k, v in measured.items() if math.isfinite(v)}
