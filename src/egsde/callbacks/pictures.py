"""Translations as pictures: on the disk as PNG, and in the loggers that show them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from egsde.data import output_name


def to_uint8(image: Tensor) -> Tensor:
    """[-1, 1] floats to uint8, clamped and rounded, on the CPU."""
    return ((image + 1) * 127.5).round().clamp(0, 255).to("cpu", torch.uint8)


def save_png(image: Tensor, path: Path, nfe: dict[str, int]) -> None:
    """Write uint8 (3, H, W) so that the file is either complete or not there.

    nfe: the network evaluations that it took, kept in the file's text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = PngInfo()
    text.add_text("nfe", json.dumps(nfe))
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(temporary, format="PNG", pnginfo=text)
    temporary.replace(path)


def load_png(path: Path) -> tuple[Tensor, dict[str, int] | None]:
    """What save_png wrote; no evaluations for a file of another program."""
    with Image.open(path) as file:
        pixels = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)
        return pixels, json.loads(file.info.get("nfe", "null"))


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
    trainer: Trainer, per_image: list[dict[str, Any]], images: Path, most: int = 200
) -> None:
    """Per-image numbers beside the pictures, for loggers that have tables; at most `most` rows."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_table") and per_image:
            import wandb

            columns = list(per_image[0])
            rows = [
                [wandb.Image(str(images / output_name(row["id"]))), *(row[c] for c in columns)]
                for row in per_image[:most]
            ]
            logger.log_table("images", columns=["translation", *columns], data=rows)
