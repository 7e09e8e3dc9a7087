"""Clips and volumes, as containers or folders: what shares one noise key, and how it flickers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from egsde.data.containers.names import is_slice


def series_of(name: str) -> str:
    """The series of an image by its id: its folder."""
    return name.rpartition("/")[0] or "."


def keys(names: Sequence[str], series: bool | None) -> list[str]:
    """What keys the noise of images: each its id, or all of a series the same; None: those of a
    container alone, not those of a folder."""
    return [
        series_of(name) if (is_slice(name) if series is None else series) else name
        for name in names
    ]


def flicker(y: Tensor, x: Tensor) -> float:
    """Mean |y_i+1 - y_i| less that of the source x, of frames (N, C, H, W) in order."""
    if len(y) < 2 or y.shape != x.shape:
        raise ValueError(
            f"flicker is that of two frames or more, of one shape: got {tuple(y.shape)} and "
            f"{tuple(x.shape)}"
        )
    mine, theirs = (frames.diff(dim=0).double().abs().mean() for frames in (y, x))
    return float(mine - theirs)
