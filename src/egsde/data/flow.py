"""Noise that moves with a clip: what is seen at a place takes its noise along the optical flow.

A pixel p of frame k shows what p + flow(p) showed in frame k - 1 and takes that pixel's noise,
rounded to whole pixels; one that comes into sight, or whose noise another pixel has already, takes
new noise. So all pixels of a frame have independent N(0, 1), and a shift carries its noise exactly.
Flow: iterative Lucas-Kanade (Le Besnerais 2005) of scikit-image, without weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch
from torch import Tensor

from egsde.noise import Noise, Randn
from egsde.optional import needed

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (now, before) -> (2, H, W), rows first


def lucas_kanade(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each pixel of a grey frame (H, W) in [0, 1] lay in the frame before, relative to it."""
    found = needed("skimage.registration", "flow", "the flow of data.series=flow")
    return np.stack(found.optical_flow_ilk(now, before, radius=5))


@dataclass(frozen=True)
class Way:
    """Of each pixel (H, W): the frame in which its noise was born, and its place there, row * W +
    column."""

    born: np.ndarray
    place: np.ndarray


def ways(frames: Sequence[np.ndarray], flow: Flow = lucas_kanade) -> list[Way]:
    """Of the frames (H, W) of one clip, in order; ValueError where they are of mixed shapes."""
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise ValueError(
            f"data.series=flow needs frames of one shape, got {sorted(shapes)}; use data.fit=crop, "
            "or data.series=true"
        )
    own = np.arange(frames[0].size).reshape(frames[0].shape)
    found = [Way(np.zeros_like(own), own)]
    for k in range(1, len(frames)):
        found.append(_moved(found[-1], flow(frames[k], frames[k - 1]), k))
    return found


def _moved(before: Way, flow: np.ndarray, k: int) -> Way:
    height, width = before.born.shape
    row, column = np.rint(np.indices((height, width)) + flow).astype(int)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    target = np.where(inside, row * width + column, -1).ravel()
    first = np.zeros(target.size, bool)
    first[np.unique(target, return_index=True)[1]] = True  # the first in order keeps it
    kept = first & (target >= 0)
    born, place = np.full(target.size, k), np.arange(target.size)
    born[kept], place[kept] = before.born.ravel()[target[kept]], before.place.ravel()[target[kept]]
    return Way(born.reshape(height, width), place.reshape(height, width))


@dataclass(frozen=True)
class Carried:
    """Noise of images `ids`, whose series and ways are known; what has another shape than a way,
    a latent or a padded edge, stays at its place."""

    seed: int
    ids: Sequence[str]
    series: Mapping[str, str]
    ways: Mapping[str, Way]
    path: tuple[str, ...] = ()

    def stream(self, key: str) -> Randn:
        """As that of Noise."""
        draws = count()

        def randn_like(x: Tensor) -> Tensor:
            draw = next(draws)
            return torch.stack([self._row(x, name, key, draw) for name in self.ids]).to(x.device)

        return randn_like

    def child(self, key: object) -> Carried:
        return replace(self, path=(*self.path, str(key)))

    def _row(self, x: Tensor, name: str, key: str, draw: int) -> Tensor:
        series, way = self.series[name], self.ways[name]
        noise = Noise(self.seed, [series], self.path)
        found = noise.row(x, series, key, draw)
        height, width = way.born.shape
        if x.ndim != 4 or x.shape[-2] < height or x.shape[-1] < width:
            return found
        born, place = torch.from_numpy(way.born), torch.from_numpy(way.place)
        carried = torch.empty_like(found[:, :height, :width])
        for frame in born.unique().tolist():
            image = series if frame == 0 else f"{series}#{frame}"
            field = noise.row(x, image, key, draw)[:, :height, :width].flatten(1)
            here = born == frame
            carried[:, here] = field[:, place[here]]
        found[:, :height, :width] = carried
        return found
