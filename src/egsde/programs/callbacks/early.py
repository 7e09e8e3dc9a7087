"""A training that stops where nothing gets better, and stays stopped when it is given again."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


class Early(EarlyStopping):
    """Lightning's; what goes on from its end has nothing left to do, unless patience is larger."""

    def __init__(
        self,
        monitor: str,
        mode: str,
        patience: int = 5,
        min_delta: float = 0.0,
        check_on_train_epoch_end: bool = False,
    ) -> None:
        super().__init__(
            monitor,
            min_delta,
            patience,
            mode=mode,
            check_on_train_epoch_end=check_on_train_epoch_end,
        )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The patience is that of the command, not of the run before."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    @property
    def state_key(self) -> str:
        """As checkpoints have it that were made with Lightning's own."""
        made_with = {"monitor": self.monitor, "mode": self.mode}
        return f"EarlyStopping{made_with!r}"
