"""Known pixels follow the source: mask x_t + (1 - mask) y (SDEdit, RePaint, Score-SDE)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.constraints.reference import Reference, new_time
from egsde.source import Source


def known_pixels(source: Source, y: Tensor) -> Tensor:
    """source.cond["mask"], (B, 1 or C, H, W), 1 = known; ValueError when absent or misshapen."""
    if "mask" not in source.cond:
        raise ValueError(
            f"KeepKnown needs a mask (1 = keep), got the conditions {sorted(source.cond)}; "
            "give the dataset one with data.mask=PATH or degradation=inpaint, or call the "
            "translator with mask=..."
        )
    mask = source.cond["mask"].to(y)
    if mask.ndim != 4 or mask.shape[-2:] != y.shape[-2:] or mask.shape[1] not in (1, len(y[0])):
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} does not fit images of shape "
            f"{tuple(y.shape)}; give (B, 1 or {y.shape[1]}, {y.shape[2]}, {y.shape[3]})"
        )
    return mask


@dataclass(frozen=True)
class KeepKnown:
    """`reference`: the time of x_t. The mask is that of `known_pixels`."""

    reference: Reference = new_time

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        mask = known_pixels(source, y)
        return mask * source.at(self.reference(source, t)) + (1 - mask) * y


@dataclass(frozen=True)
class ShowKnown:
    """Known pixels are the source's own at every time, without noise (Palette, Saharia 2022).

    For scores that look at them so, which see nothing else of the state there; the result's known
    pixels are the source's, bit for bit, wherever the walk ends.
    """

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return torch.where(known_pixels(source, y) > 0, source.x0, y)
