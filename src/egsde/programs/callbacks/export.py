"""What training leaves: `weights.safetensors`, the networks with their configuration inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.scores.container import RECORDED, read_config, save_weights


class Export(Callback):
    """`half`: store float16; `use`: which weights the file holds, of "averaged" and "raw"."""

    def __init__(
        self, out: str | Path, half: bool = False, use: Sequence[str] = ("averaged", "raw")
    ) -> None:
        self.path, self.half, self.use = Path(out) / "weights.safetensors", half, use
        self.allow: Sequence[str] = ()  # set by the entry point

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._write(trainer, module)  # a file of this step may be that of another training

    def save(self, trainer: Trainer, module: Any) -> None:
        """Write the file where it is missing or of another step; OSError where that fails."""
        if trainer.global_step != steps_in(self.path):
            self._write(trainer, module)

    @rank_zero_only
    def _write(self, trainer: Trainer, module: Any) -> None:
        if trainer.global_step == 0:
            return
        everything = {"averaged": module.ema.net, "raw": module.network}
        trained = (
            {key: module.config[key] for key in RECORDED}
            | module.recorded
            | {
                "steps": trainer.global_step,
                "validation": {k: v for k, v in module.validated.items() if math.isfinite(v)},
            }
        )
        networks = {name: module.exported(everything[name]) for name in self.use}
        save_weights(self.path, networks, trained, self.half, self.allow)


def steps_in(path: Path) -> int | None:
    """How many steps the weights in a file have seen; None where there is no whole file."""
    try:
        return int(read_config(path)["steps"])
    except Exception:  # absent, cut or of another program
        return None
