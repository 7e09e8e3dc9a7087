"""Translations as pictures: bytes, batches of them, and the loggers that show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor

from egsde.data import Written


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] floats to uint8, clamped and rounded, on the CPU."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def stacked(images: Sequence[Tensor]) -> Tensor:
    """(B, C, H, W) of images as they were saved: bytes, or floats where one of them is deeper."""
    if all(image.dtype == torch.uint8 for image in images):
        return torch.stack(list(images))
    return torch.stack([i.float() / 127.5 - 1 if i.dtype == torch.uint8 else i for i in images])


def shown_like(image: Tensor, saved: Tensor) -> Tensor:
    """Floats in [-1, 1] as bytes where the saved ones are bytes."""
    return to_uint8(image) if saved.dtype == torch.uint8 else image.cpu().float().clamp(-1, 1)


def log_image(trainer: Trainer, name: str, picture: Image.Image, step: int) -> None:
    """To every logger that shows pictures."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_image"):  # Weights & Biases
            logger.log_image(name, [picture], step=step)
            continue
        board: Any = getattr(logger, "experiment", None)
        if hasattr(board, "add_image"):  # TensorBoard
            board.add_image(name, np.array(picture), step, dataformats="HWC")


def log_table(
    trainer: Trainer, per_image: list[dict[str, Any]], written: Written, most: int = 200
) -> None:
    """Per-image numbers beside the pictures, for loggers that have tables; at most `most` rows."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_table") and per_image:
            import wandb

            columns = list(per_image[0])
            rows = [
                [wandb.Image(str(written.path(row["id"]))), *(row[c] for c in columns)]
                for row in per_image[:most]
            ]
            logger.log_table("images", columns=["translation", *columns], data=rows)
