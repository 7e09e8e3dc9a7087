"""A file of any kind as a picture to look at: 8 bits, three channels, the range it fills."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from egsde.data.containers import Cut, Slices, is_slice
from egsde.data.files import Folder
from egsde.data.images import decode
from egsde.data.kinds import PNG, kind_of
from egsde.data.rasters import DEPTHS
from egsde.opened import picture_bytes


def shown(path: Path) -> np.ndarray:
    """uint8 (H, W, 3): the first three channels, or the first in grey. Numbers without a known
    white are stretched from their least to their greatest. A slice, scan.nii.gz/@0007.png, is read
    out of its container."""
    if is_slice(path.name) and not path.is_file():
        pixels = _beside(path.parents[1]).slice(f"{path.parent.name}/{path.name}")
    elif kind_of(path.name) is PNG:
        return np.asarray(decode(picture_bytes(path)))
    else:
        pixels = kind_of(path.name).read(picture_bytes(path), 3).pixels
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
    low, high = DEPTHS.get(pixels.dtype.name, (float(pixels.min()), float(pixels.max())))
    unit = (pixels.astype(np.float64) - low) / ((high - low) or 1)
    return np.rint(255 * unit.clip(0, 1)).astype(np.uint8)


@lru_cache(maxsize=4)
def _beside(folder: Path) -> Slices:
    """What lies in a folder, its containers opened once."""
    return Slices(Folder(folder), Cut())
