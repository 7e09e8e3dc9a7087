"""Pixels as a file stores them, and files like it: 8 or 16 bits, numbers of any type, n bands.

A kind of file reads bytes as a Raster and writes another Raster's pixels with all that it kept.
Shapes: (H, W, C), upright.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from egsde.opened import MOST_PIXELS, UnreadableImage

DEPTHS = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}  # whose white is known
TYPES = "uif"  # kinds of NumPy's types that are pixels
EXACT = 2**24  # the whole numbers that float32 tells apart


class Kind(Protocol):
    """A kind of file."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...
    @property
    def holds_text(self) -> bool: ...  # whether a file says itself what it was made of

    def read(self, data: bytes, channels: int) -> Raster: ...
    def write(self, raster: Raster, text: Mapping[str, str]) -> bytes: ...
    def text(self, data: bytes) -> dict[str, str]: ...


@dataclass(frozen=True)
class Raster:
    """pixels (H, W, C) as stored; kind: what writes files like it; kept: what else they hold.

    alpha: the last channel is opacity. notes: what the pictures of a set are judged by. held:
    pixels as the file can hold them.
    """

    pixels: np.ndarray
    kind: Kind
    kept: Mapping[str, Any] = field(default_factory=dict)
    alpha: bool = False
    notes: Mapping[Any, Any] = field(default_factory=dict)
    held: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels

    def with_pixels(self, pixels: np.ndarray) -> Raster:
        return replace(self, pixels=pixels)

    def of(self, channels: int) -> Raster:
        """The same with so many channels; UnreadableImage where that would add or lose anything.

        Grey becomes three alike and three alike become grey; alpha, unless it is asked for as a
        channel, goes over white.
        """
        count = self.pixels.shape[2]
        if count == channels:
            return replace(self, alpha=False)
        if self.alpha and channels < count:
            return replace(self, pixels=over_white(self.pixels), alpha=False).of(channels)
        if count == 1 and channels == 3:
            return self.with_pixels(self.pixels.repeat(3, 2))
        same = self.pixels[..., :1]
        if count == 3 and channels == 1 and bool((self.pixels == same).all()):
            return self.with_pixels(same)
        raise UnreadableImage(
            f"it has {count} channels, and data.channels={channels}; give data.channels={count}, "
            "or files of that many"
        )


@dataclass(frozen=True)
class Scale:
    """[low, high] of stored numbers <-> [-1, 1]; None: the whole of 8 or 16 unsigned bits.
    ValueError unless low < high."""

    given: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.given is not None and not self.given[0] < self.given[1]:
            raise ValueError(
                f"data.range={list(self.given)} is no range; give [low, high] with low < high"
            )

    def ends(self, dtype: np.dtype) -> tuple[float, float]:
        """UnreadableImage where nobody knows what is white."""
        if self.given is not None:
            return self.given
        if dtype.name in DEPTHS:
            return DEPTHS[dtype.name]
        raise UnreadableImage(
            f"{dtype.name} pixels have no known range; give data.range=[low,high]"
        )

    def plain(self, pixels: np.ndarray) -> bool:
        """Whether they are bytes of the usual range, which are kept as bytes."""
        return pixels.dtype == np.uint8 and self.ends(pixels.dtype) == DEPTHS["uint8"]

    def unit(self, pixels: np.ndarray) -> np.ndarray:
        """float32 in [-1, 1], or the bytes themselves; what lies outside is cut off."""
        if self.plain(pixels):
            return pixels
        low, high = self.ends(pixels.dtype)
        values = (pixels.astype(np.float64) - low) * (2 / (high - low)) - 1
        return values.clip(-1, 1).astype(np.float32)

    def stored(self, unit: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Numbers of the type of `like` for float32 in [-1, 1]."""
        low, high = self.ends(like.dtype)
        if self.plain(like):  # in the float32 of the images
            return cast((unit.clip(-1, 1) + np.float32(1)) * np.float32(127.5), like)
        return cast((unit.clip(-1, 1).astype(np.float64) + 1) * ((high - low) / 2) + low, like)

    def changed(self, unit: np.ndarray, like: np.ndarray) -> np.ndarray:
        """`stored`, exactly `like` where nothing changed, though float32 rounds: numbers that it
        does not tell apart are moved by the change."""
        low, high = self.ends(like.dtype)
        if self.plain(like) or (like.dtype.kind in "ui" and high - low < EXACT):
            return self.stored(unit, like)
        before = like.astype(np.float64).clip(low, high)
        change = unit.clip(-1, 1).astype(np.float64) - self.unit(like).astype(np.float64)
        return cast((before + change * ((high - low) / 2)).clip(low, high), like)

    def outside(self, pixels: np.ndarray) -> int:
        """How many numbers lie outside of the range, or are none."""
        low, high = self.ends(pixels.dtype)
        return int(np.count_nonzero(~((pixels >= low) & (pixels <= high))))


def cast(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """float64 in the type of `like`, rounded and cut off where that is of whole numbers."""
    if like.dtype.kind == "f":
        return values.astype(like.dtype)
    info = np.iinfo(like.dtype)
    return np.rint(values).clip(info.min, info.max).astype(like.dtype)


def over_white(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C + 1) with opacity last, over white: (H, W, C) of the same type."""
    white = DEPTHS[pixels.dtype.name][1]
    opacity = pixels[..., -1:].astype(np.float64) / white
    return cast(pixels[..., :-1] * opacity + white * (1 - opacity), pixels)


def checked(pixels: np.ndarray) -> np.ndarray:
    """The array; UnreadableImage where its type is none of pixels, or it holds no numbers."""
    if pixels.dtype.kind not in TYPES or pixels.size == 0:
        raise UnreadableImage(
            f"an array of {pixels.dtype.name}, shape {pixels.shape}, is no picture; save numbers "
            "(H, W) or (H, W, C)"
        )
    if pixels.dtype.kind == "f" and np.isnan(pixels).any():
        raise UnreadableImage(f"{int(np.isnan(pixels).sum())} of its numbers are NaN")
    return pixels


def _bounded(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C); UnreadableImage where that is larger than a picture may be."""
    if pixels.shape[0] * pixels.shape[1] > MOST_PIXELS:
        raise UnreadableImage(f"an array of shape {pixels.shape} is too large: shrink it first")
    return pixels


def shaped(pixels: np.ndarray, channels: int) -> tuple[np.ndarray, str]:
    """(H, W, C) of an array (H, W), (H, W, C) or (C, H, W), and which of these it was."""
    if pixels.ndim == 2:
        return _bounded(pixels[..., None]), "none"
    if pixels.ndim == 3:
        if pixels.shape[2] == channels or pixels.shape[0] != channels:
            return _bounded(pixels), "last"
        return _bounded(np.moveaxis(pixels, 0, 2)), "first"
    raise UnreadableImage(
        f"an array of shape {pixels.shape} is no picture; save (H, W), (H, W, C) or (C, H, W)"
    )


def unshaped(pixels: np.ndarray, axis: str) -> np.ndarray:
    """`shaped` backwards."""
    if axis == "none":
        return pixels[..., 0]
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0) if axis == "first" else pixels)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels turned as EXIF's orientation 1 to 8 says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def range_of(given: Sequence[float] | None) -> Scale:
    """data.range as it stands in a configuration; ValueError for no two numbers."""
    if given is None:
        return Scale()
    values = [float(value) for value in given]
    if len(values) != 2:
        raise ValueError(f"data.range={values} is no range; give [low, high]")
    return Scale((values[0], values[1]))
