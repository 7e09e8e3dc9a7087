"""How much neighbours of a series change more than in their source: of volumes and clips.

flicker(y, x) = mean |y_i+1 - y_i| - mean |x_i+1 - x_i|, black to white being 1; what stands still
has 0, and so has the untouched source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.data.series import grouped

Frame = tuple[Tensor, Tensor]  # a translation and its source, (C, H, W) or (1, C, H, W)


def flicker(y: Tensor, x: Tensor) -> float:
    """Mean |y_i+1 - y_i| less that of the source x, of frames (N, C, H, W) in order. ValueError
    for fewer than two frames, or other shapes."""
    if len(y) < 2 or y.shape != x.shape:
        raise ValueError(
            f"flicker is that of two frames or more, of one shape: got {tuple(y.shape)} and "
            f"{tuple(x.shape)}"
        )
    mine, theirs = (frames.diff(dim=0).double().abs().mean() for frames in (y, x))
    return float(mine - theirs)


@dataclass(frozen=True)
class Flicker:
    """Of each image that follows its neighbour. folders: the images of a folder are a series, too,
    and not the slices of containers alone."""

    folders: bool = False

    def series(self, ids: Iterable[str]) -> list[list[str]]:
        """The ids of each series of two frames or more, in order."""
        return [names for names in grouped(ids, self.folders).values() if len(names) > 1]

    def of(
        self, names: Iterable[str], frame: Callable[[str], Frame | None]
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """(id, dict(flicker, flicker_source)) of the images of one series. frame: the pictures of
        an image, bytes or floats in [-1, 1]; None for one that is not measured, which has no
        neighbours."""
        before: Frame | None = None
        for name in names:
            if (now := frame(name)) is None:
                before = None
                continue
            y, x = map(_unit, now)
            if before is not None and before[0].shape == y.shape == x.shape:
                ys, xs = (torch.stack(both) for both in zip(before, (y, x), strict=True))
                yield name, {"flicker": flicker(ys, xs), "flicker_source": flicker(xs, xs)}
            before = y, x


def _unit(image: Tensor) -> Tensor:
    """Black 0, white 1."""
    return image.double() / 255 if image.dtype == torch.uint8 else (image.double() + 1) / 2
