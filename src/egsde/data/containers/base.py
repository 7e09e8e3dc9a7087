"""Files that hold a series, a volume's slices or a clip's frames, and what writes them again.

Shapes: (N, H, W, C), N along the axis that a kind of file is cut along by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np

from egsde.data.rasters import DEPTHS, cast
from egsde.opened import MOST_PIXELS, UnreadableImage

MOST_BYTES = 2**31  # of one container, unpacked


@dataclass(frozen=True)
class Cut:
    """axis: what is cut into slices, counted as the file counts, or null for its kind's own;
    slices: [first, last] of them that are images, the others stay; channels: of an image.
    ValueError for an axis or slices that no volume has."""

    axis: int | None = None
    slices: tuple[int, int] | None = None
    channels: int = 3

    def __post_init__(self) -> None:
        if self.axis not in (None, 0, 1, 2):
            raise ValueError(f"data.axis={self.axis} is no axis of a volume; give 0, 1, 2 or null")
        ends = self.slices
        if ends is not None and (len(ends) != 2 or not 0 <= ends[0] <= ends[1]):
            raise ValueError(
                f"data.slices={list(ends)} are no slices; give [first,last], counted from 0"
            )


def cut_of(axis: int | None, slices: Sequence[int] | None, channels: int) -> Cut:
    """data.axis, data.slices and data.channels as they stand in a configuration."""
    ends = None if slices is None else tuple(int(k) for k in slices)
    return Cut(axis, ends, channels)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Glance:
    """What a container holds, by its head: shape (N, H, W, C), type; turned: the file counts its
    axes from the back, (W, H, N)."""

    shape: tuple[int, int, int, int]
    dtype: np.dtype
    turned: bool = False

    def __post_init__(self) -> None:
        if self.shape[1] * self.shape[2] > MOST_PIXELS:
            raise UnreadableImage(
                f"{self.shape[2]}x{self.shape[1]} pixels, more than {MOST_PIXELS}: shrink it first"
            )
        count = np.prod([float(n) for n in self.shape])
        if min(self.shape) < 1 or count * self.dtype.itemsize > MOST_BYTES:
            raise UnreadableImage(
                f"{' x '.join(map(str, self.shape))} numbers of {self.dtype.name} are none, or "
                f"more than {MOST_BYTES} bytes; cut it in parts"
            )

    def stacked(self, axis: int | None) -> int:
        """The axis of (N, H, W) that `data.axis` means."""
        if axis is None:
            return 0
        return 2 - axis if self.turned else axis

    @property
    def suffix(self) -> str:
        """Of the files that slices are kept in."""
        return ".png" if self.dtype.name in DEPTHS and self.shape[3] <= 4 else ".npy"


def same(pixels: np.ndarray) -> np.ndarray:
    """A slice is held as it is."""
    return pixels


@dataclass(frozen=True)
class Volume:
    """array (N, H, W, C); written: the container's files with other numbers of that shape, by
    their paths, "" for that of a single file; held: a slice as its file can hold it;
    notes: what is judged of all."""

    array: np.ndarray
    written: Callable[[np.ndarray], Mapping[str, bytes]]
    held: Callable[[np.ndarray], np.ndarray] = same
    notes: Mapping[Any, Any] | None = None


class Container(Protocol):
    """A kind of file that may hold a series."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def glance(self, file: IO[bytes], cut: Cut) -> Glance | None:
        """None for a file that is one picture."""
        ...

    def read(self, data: bytes, cut: Cut) -> Volume: ...


def grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) with all channels alike: their mean, where they differ."""
    first = pixels[..., :1]
    if bool((pixels == first).all()):
        return pixels
    mean = cast(pixels.astype(np.float64).mean(2, keepdims=True), pixels)
    return mean.repeat(pixels.shape[2], 2)
