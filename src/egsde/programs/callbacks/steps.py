"""Training's progress: a bar of steps on a terminal, and a line per validation everywhere."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, Timer
from rich.console import Console
from rich.progress import Progress

from egsde.programs.callbacks.progress import bars, inside

ASIDE = ("_floor", "_source", "_low", "_high", "_se")  # in the logs, not in the line


class Steps(ProgressBar):
    """Steps of max_steps and the values logged with prog_bar=True; on the first process only."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(soft_wrap=True, highlight=False)
        self.bar: Progress | None = None
        self.enabled, self.next = True, 0.0

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.bar = bars(self.console, self.enabled and self.console.is_terminal)
        inside.append(self.bar)
        total = trainer.max_steps if trainer.max_steps > 0 else None
        self.task = self.bar.add_task(
            "", total=total, completed=trainer.global_step, doing="training", unit="steps"
        )
        self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is None or self.bar.disable or time.monotonic() < self.next:
            return  # reading the values waits for the device
        self.next = time.monotonic() + 0.5
        values = trainer.progress_bar_metrics
        self.bar.update(self.task, completed=trainer.global_step, description=_line(values))

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not self.enabled or trainer.sanity_checking:
            return
        found = trainer.callback_metrics
        validated = sorted(k for k in found if k.startswith("val/") and not k.endswith(ASIDE))
        names = sorted(("train/loss", *validated), key=lambda name: not name.endswith("/loss"))
        values = {name: found[name] for name in names if name in found}
        of = f"/{trainer.max_steps}" if trainer.max_steps > 0 else ""
        self.console.print(f"step {trainer.global_step}{of}  {_line(values)}")

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.global_step)
        self._stop()

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            inside.remove(self.bar)
            self.bar = None


def _line(values: dict[str, Any]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in values.items())


def time_is_over(trainer: Any) -> str:
    """What to say where trainer.max_time has ended a training."""
    left = [c.time_remaining() for c in trainer.callbacks if isinstance(c, Timer)]
    if not any(seconds is not None and seconds <= 0 for seconds in left):
        return ""
    return "; trainer.max_time is over; it counts the whole training, however often that went on"
