"""What `egsde.load(...).translate` takes beside tensors: files by their paths, and PIL images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from egsde.data.fits import Size, fitted
from egsde.data.images import to_rgb
from egsde.opened import UnreadableImage


def path_of(picture: Any) -> Path:
    """A file's path; ValueError for what is none."""
    if isinstance(picture, (str, os.PathLike)):
        return Path(picture).expanduser()
    raise ValueError(
        f"translate takes a file's path, a PIL image or a tensor, got {type(picture).__name__}; "
        "PIL.Image.fromarray makes an image of an array (H, W, 3) of 8 bits, and several pictures "
        "are given one by one, or as a tensor (B, C, H, W)"
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An UnreadableImage names the file."""
    try:
        yield
    except UnreadableImage as error:
        raise UnreadableImage(f"{path}: {error}") from error


def pixels_of(image: Image.Image, size: Size, channels: int, ends: Any) -> Tensor:
    """uint8 (C, H, W) of an image for networks of so many channels; ends: the range of the numbers
    that they were trained on, None for whole bits. ValueError where the image has not that."""
    if channels == 3:
        pixels = np.asarray(to_rgb(image))
    elif channels == 1 and image.mode in ("1", "L") and ends is None:
        pixels = np.asarray(image.convert("L"))[..., None]
    else:
        of = "" if ends is None else f" of numbers from {ends[0]:g} to {ends[1]:g}"
        raise ValueError(
            f"the networks see {channels} channels{of}, and a PIL image of mode {image.mode} has "
            "not that; give a file's path or a tensor, or for one channel of 8 bits "
            'image.convert("L")'
        )
    return torch.from_numpy(fitted(pixels, size, "crop").copy()).permute(2, 0, 1)


def image_of(pixels: Tensor) -> Image.Image:
    """A PIL image, RGB or L, of uint8 (C, H, W)."""
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
