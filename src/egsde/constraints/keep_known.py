"""Known pixels follow the source: mask x_t + (1 - mask) y (SDEdit, RePaint, Score-SDE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egsde.constraints.reference import level
from egsde.linear.operators import known_pixels
from egsde.source import Source


@dataclass(frozen=True)
class KeepKnown:
    """old_time: x_t is of the time before the step. The mask is that of `known_pixels`."""

    reads: ClassVar = ("mask",)

    old_time: bool = False

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        mask = known_pixels(source.cond.get("mask"), y)
        return mask * source.at(level(source, t, self.old_time)) + (1 - mask) * y


@dataclass(frozen=True)
class ShowKnown:
    """Known pixels are the source's own at every time, without noise (Palette, Saharia 2022).

    For scores that look at them so, which see nothing else of the state there; the result's known
    pixels are the source's, bit for bit, wherever the walk ends.
    """

    reads: ClassVar = ("mask",)

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return torch.where(known_pixels(source.cond.get("mask"), y) > 0, source.x0, y)
