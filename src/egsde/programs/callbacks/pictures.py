"""Translations as pictures: on the disk as PNG, and in the loggers that show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from egsde.data import Written
from egsde.disk import whole


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] floats to uint8, clamped and rounded, on the CPU."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def save_png(image: Tensor, path: Path, text: Mapping[str, str]) -> None:
    """Write uint8 (3, H, W) so that the file is either complete or not there."""
    kept = PngInfo()
    for key, value in text.items():
        kept.add_text(key, value)
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    with whole(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", pnginfo=kept)


def load_png(path: Path) -> tuple[Tensor, dict[str, Any]] | None:
    """Pixels and text of a file of save_png; None where it is no whole RGB PNG."""
    try:
        with Image.open(path, formats=["PNG"]) as file:
            if file.mode != "RGB":
                return None
            pixels = torch.from_numpy(np.array(file)).permute(2, 0, 1)
            return pixels, {str(key): value for key, value in file.info.items()}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


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
