"""A Weights & Biases run that stays the same where a command goes on: its id is in the folder."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


def same_run(out: str | Path, id: str | None = None, **options: Any) -> WandbLogger:
    """The logger of the run whose id out/wandb/id holds; written there the first time."""
    kept = Path(out) / "wandb" / "id"
    if id is None:
        id = kept.read_text().strip() if kept.exists() else secrets.token_hex(4)
    _keep(kept, id)
    return WandbLogger(id=id, save_dir=out, **options)


@rank_zero_only
def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
