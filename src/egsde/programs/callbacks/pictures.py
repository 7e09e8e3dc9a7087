"""Translations as pictures: bytes, batches of them, and the loggers that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from PIL import Image
from torch import Tensor


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] floats to uint8, clamped and rounded, on the CPU."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def as_float(image: Tensor) -> Tensor:
    """uint8 as float32 in [-1, 1]; floats as they are."""
    return image.float() / 127.5 - 1 if image.dtype == torch.uint8 else image


def stacked(images: Sequence[Tensor]) -> Tensor:
    """(B, C, H, W) of images as they were saved: bytes, or floats where one of them is deeper."""
    if all(image.dtype == torch.uint8 for image in images):
        return torch.stack(list(images))
    return torch.stack(list(map(as_float, images)))


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
    trainer: Trainer, name: str, rows: Iterable[Mapping[str, Any]], step: int = 0, most: int = 200
) -> None:
    """Pictures (uint8 (3, H, W), or files) beside numbers, for loggers that have tables; at most
    `most` rows, read only where there is one."""
    boards = [logger for logger in trainer.loggers if hasattr(logger, "log_table")]
    if not boards:
        return
    import wandb

    def cell(value: Any) -> Any:
        if isinstance(value, Tensor):
            pixels = value if value.dtype == torch.uint8 else to_uint8(value)
            return wandb.Image(pixels[: 3 if len(pixels) >= 3 else 1].permute(1, 2, 0).numpy())
        return wandb.Image(str(value)) if isinstance(value, Path) else value

    shown = list(islice(rows, most))
    if shown:
        columns = list(shown[0])
        data = [[cell(row[column]) for column in columns] for row in shown]
        for logger in boards:
            logger.log_table(name, columns=columns, data=data, step=step)  # type: ignore[attr-defined]
