"""Stacks in NumPy's files: (N, H, W), (N, H, W, C) or (N, C, H, W).

An array of three axes is a stack where `data.axis` says so, or where neither end is the number of
channels and the last two axes look like a picture's: alike, more than 16 wide, or wider than the
first.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from typing import IO

import numpy as np

from egsde.data.containers.base import Cut, Glance, Volume
from egsde.data.kinds import head_of, numbers, packed, unpacked
from egsde.data.rasters import TYPES, checked
from egsde.opened import UnreadableImage, check_packing

FEW, BANDS = 8, 16  # so many channels at most that are not asked for


class Arrays:
    """By NumPy; of an archive the one array, or that called "image"."""

    suffixes = (".npy", ".npz")

    def glance(self, file: IO[bytes], cut: Cut) -> Glance | None:
        shape, dtype = _head(file)
        if dtype.kind not in TYPES or (layout := _layout(shape, cut)) is None:
            return None
        place = [shape[i] for i in layout]
        return Glance((*place, 1)[:4], dtype.newbyteorder("="))  # type: ignore[arg-type]

    def read(self, data: bytes, cut: Cut) -> Volume:
        if data.startswith(b"PK"):
            array, kept = unpacked(data)
            write: Callable[[np.ndarray], bytes] = partial(packed, kept=kept)
        else:
            array, write = numbers(data), _npy
        layout = _layout(array.shape, cut)
        if layout is None:
            raise UnreadableImage(f"an array of shape {array.shape} is no stack of pictures")
        dtype, flat = array.dtype, len(layout) == 3
        stack = checked(array).transpose(layout).astype(dtype.newbyteorder("="))
        back = tuple(int(i) for i in np.argsort(layout))

        def written(made: np.ndarray) -> dict[str, bytes]:
            plain = made[..., 0] if flat else made
            return {"": write(np.ascontiguousarray(plain.transpose(back)).astype(dtype))}

        return Volume(stack[..., None] if flat else stack, written)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _head(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array, without its numbers."""
    if file.read(2) == b"PK":
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            name = names[0] if len(names) == 1 else "image.npy"
            if name not in names:
                return (), np.dtype(object)
            check_packing(archive.getinfo(name))
            with archive.open(name) as member:
                return head_of(member)
    file.seek(0)
    return head_of(file)


def _layout(shape: tuple[int, ...], cut: Cut) -> tuple[int, ...] | None:
    """Which axes of the array are N, H, W and C; None for a picture."""
    channels = cut.channels
    if len(shape) == 4:
        if shape[3] == channels or (shape[1] != channels and shape[3] <= 4):
            return 0, 1, 2, 3
        return (0, 2, 3, 1) if shape[1] == channels or shape[1] <= 4 else (0, 1, 2, 3)
    if len(shape) != 3:
        return None
    bands = shape[1] != shape[2] and shape[2] <= (FEW if shape[0] < shape[2] else BANDS)
    picture = channels in (shape[0], shape[2]) or bands
    return None if picture and cut.axis is None else (0, 1, 2)
