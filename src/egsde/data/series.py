"""Clips and volumes as folders of frames: what shares one noise key, and how much it flickers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def series_of(name: str) -> str:
    """The series of an image by its id: its folder."""
    return name.rpartition("/")[0] or "."


def keys(names: Sequence[str], series: bool) -> list[str]:
    """What keys the noise of images: each its id, or all of a series the same."""
    return [series_of(name) if series else name for name in names]


def flicker(y: Tensor, x: Tensor) -> float:
    """Mean |y_i+1 - y_i| less that of the source x, of frames (N, C, H, W) in order."""
    if len(y) < 2 or y.shape != x.shape:
        raise ValueError(
            f"flicker is that of two frames or more, of one shape: got {tuple(y.shape)} and "
            f"{tuple(x.shape)}"
        )
    mine, theirs = (frames.diff(dim=0).double().abs().mean() for frames in (y, x))
    return float(mine - theirs)
