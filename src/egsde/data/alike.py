"""Translations as files: of the kind, depth and range of their source, or plain PNGs.

What is saved is read again as a source would be, and that is what numbers are taken of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from egsde.data.containers.names import is_slice
from egsde.data.file_images import FileImages
from egsde.data.fits import WHOLE, Size, resized
from egsde.data.images import UnreadableImage
from egsde.data.kinds import PNG, kind_of, raster
from egsde.data.one import one_picture
from egsde.data.rasters import Raster, Scale, range_of
from egsde.disk import whole
from egsde.opened import picture_bytes


@dataclass(frozen=True)
class Made:
    """One translation: the file's pixels, and the image (C, H, W) that a reader sees in it, uint8
    or float32 in [-1, 1]."""

    raster: Raster
    seen: Tensor


class Writer(Protocol):
    """How the translations of a data set are written."""

    def made(self, name: str, y: Tensor) -> Made:
        """What is saved of the translation y (C, H, W) of an image."""
        ...

    def read(self, name: str, path: Path) -> tuple[Tensor, dict[str, str]] | None:
        """What a reader sees in a file, and its text; None where it is no such file."""
        ...


def write(made: Made, path: Path, text: Mapping[str, str]) -> None:
    """The file is either complete or not there; text: only where its kind holds some."""
    data = made.raster.kind.write(made.raster, text)
    with whole(path) as temporary:
        temporary.write_bytes(data)


@dataclass(frozen=True)
class Picture:
    """A translation of the kind, depth and range of its source."""

    made: Made

    @property
    def array(self) -> np.ndarray:
        """(H, W, C), in the source's type and range."""
        return self.made.raster.pixels

    def save(self, path: str | Path) -> None:
        """Write it; ValueError for a name of another kind than the source."""
        place = Path(path).expanduser()
        if kind_of(place.name) is not self.made.raster.kind:
            known = " or ".join(self.made.raster.kind.suffixes)
            raise ValueError(f"{place} is of another kind than its source; end its name in {known}")
        write(self.made, place, {})


def holds_text(path: Path) -> bool:
    """Whether a file says itself what it was made of."""
    return kind_of(path.name).holds_text


def seen(unit: np.ndarray) -> Tensor:
    """(H, W, C) as a tensor (C, H, W) of the same numbers."""
    return torch.from_numpy(np.array(unit.transpose(2, 0, 1), order="C"))


def as_unit(y: Tensor) -> np.ndarray:
    """(C, H, W) as float32 (H, W, C), cut to [-1, 1]."""
    return y.detach().to("cpu", torch.float32).clamp(-1, 1).permute(1, 2, 0).numpy()


class Pngs:
    """PNGs of 8 bits, for images that come from no files."""

    def made(self, name: str, y: Tensor) -> Made:
        pixels = Scale().stored(as_unit(y), np.empty(0, np.uint8))
        return Made(Raster(pixels, PNG), seen(pixels))

    def read(self, name: str, path: Path) -> tuple[Tensor, dict[str, str]] | None:
        return read_file(path, None)


class Alike:
    """Files like the sources; restore: of the source's size, resampled back, outside of the crop
    as it was."""

    def __init__(self, images: FileImages, restore: bool) -> None:
        self.images, self.restore = images, restore

    def made(self, name: str, y: Tensor) -> Made:
        source, scale, unit = self.images.source(name), self.images.scale, as_unit(y)
        frame = self.images.frame(source.pixels.shape[:2])
        top, left, height, width = frame.box
        box = source.pixels[top : top + height, left : left + width]
        if self.whole(name):
            top_in, left_in, high, wide = frame.inner
            inner = unit[top_in : top_in + high, left_in : left_in + wide]
            changed = (
                scale.changed(inner, box)
                if frame.exact
                else scale.stored(resized(np.ascontiguousarray(inner), (height, width)), box)
            )
            pixels = source.pixels.copy()
            pixels[top : top + height, left : left + width] = changed
            pixels = source.held(pixels)
            return Made(source.with_pixels(pixels), seen(frame.of(scale.unit(pixels))))
        exact = frame.exact and frame.inner == (0, 0, *frame.shape)
        pixels = scale.changed(unit, box) if exact else scale.stored(unit, source.pixels)
        return Made(source.with_pixels(pixels), seen(scale.unit(pixels)))

    def read(self, name: str, path: Path) -> tuple[Tensor, dict[str, str]] | None:
        return read_file(path, self, self.whole(name))

    def whole(self, name: str) -> bool:
        """Whether a file of the source's size is written, as a container's slices always are."""
        return self.restore or is_slice(name)

    def seen_in(self, found: Raster, whole: bool) -> Tensor:
        """The image (C, H, W) that a reader sees in these pixels; whole: cut as its source is."""
        unit = self.images.scale.unit(found.pixels)
        return seen(self.images.frame(unit.shape[:2]).of(unit) if whole else unit)


def read_file(
    path: Path, alike: Alike | None, whole: bool = False
) -> tuple[Tensor, dict[str, str]] | None:
    """Of a file that this module wrote; None for any other."""
    try:
        data = picture_bytes(path)
        found = raster(path.name, data, 3 if alike is None else alike.images.channels)
        text = kind_of(path.name).text(data)
        return (seen(found.pixels) if alike is None else alike.seen_in(found, whole)), text
    except (OSError, UnreadableImage, ValueError):
        return None


def of_one(path: Path, size: Size, data: Mapping[str, Any], ends: Any = None) -> Alike | None:
    """How one file is read and written as what it is, by the keys of data; None for a picture that
    becomes one of 8 bits and three channels. ends: the range where data have none."""
    fit, channels, restore = (data.get(k, v) for k, v in
                              (("fit", "crop"), ("channels", 3), ("restore", None)))  # fmt: skip
    restore = fit in WHOLE if restore is None else restore
    given = data.get("range")
    scale = range_of(ends if given is None else given)
    usual = channels == 3 and not restore and kind_of(path.name) is PNG
    if usual and scale.plain(raster(path.name, picture_bytes(path)).pixels):
        return None
    return Alike(one_picture(str(path), size, fit, channels, scale), restore)
