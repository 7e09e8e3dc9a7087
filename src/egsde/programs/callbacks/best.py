"""The best weights so far, `checkpoints/best.ckpt`, beside the last: by a number of validation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn

from egsde.programs.better import mode_of
from egsde.scores.kinds import weights_key

BEST = "best.ckpt"


class Best(Callback):
    """Saves to dirpath/best.ckpt when `watched` is better than ever before.

    The save lies between two whole steps, before that of the last checkpoint, whose state says
    what was best: what goes on from it has the file. Where `watched` is not measured, as KID
    without Inception's weights, `otherwise` is taken, and that is said.
    """

    saves = True  # checkpoints, which a switch of the Trainer turns off
    needs = "best"  # the key of a configuration without which it has nothing to do

    def __init__(
        self, dirpath: str | Path, watched: str | None, otherwise: str = "val/loss"
    ) -> None:
        self.path = Path(dirpath) / BEST
        self.watched, self.otherwise = watched or otherwise, otherwise
        self.name = ""  # of what is watched, once it is known
        self.value, self.step = math.nan, 0
        self.waiting, self.kind = False, "score"
        self.translates = False  # set by the entry point: some numbers come with translations

    def state_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.name = state_dict["name"]
        self.value, self.step = state_dict["value"], state_dict["step"]

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        found = trainer.callback_metrics
        config: Any = module.config
        self.kind = config.get("kind", self.kind)
        if trainer.sanity_checking:
            return
        if not self.translates or "val/seconds" in found or self.watched in found:
            self._choose(found)
        value = float(found[self.name]) if self.name in found else math.nan
        value = float(trainer.strategy.broadcast(value))
        if self._better(value):
            self.value, self.step, self.waiting = value, trainer.global_step, True

    def _choose(self, found: Any) -> None:
        name = self.watched if self.watched in found else self.otherwise
        if name != self.watched and not self.name and self.otherwise in found:
            rank_zero_warn(f"{self.watched} is not measured, so the best checkpoint is by {name}")
        if name != self.name:  # also where a run that goes on watches another number
            self.name, self.value = name, math.nan

    def _better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if math.isnan(self.value):
            return True
        return value > self.value if mode_of(self.name) == "max" else value < self.value

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if not self.waiting:
            return
        self.waiting = False
        trainer.save_checkpoint(self.path)
        files: Any = trainer.strategy.checkpoint_io
        if (error := trainer.strategy.broadcast(getattr(files, "error", None))) is not None:
            rank_zero_warn(f"the best weights, of step {self.step}, were not saved ({error})")

    @rank_zero_only
    def tell(self) -> None:
        """Which step was best, by what, and how its weights are used."""
        if self.path.exists() and math.isfinite(self.value):
            print(
                f"best: step {self.step} by {self.name} {self.value:.4g}; {self.path} is given as "
                f"weights are ({weights_key(self.kind)}=...)"
            )
