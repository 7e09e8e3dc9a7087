"""What generators minimise beside the game, each a function of one step's images.

CycleGAN (Zhu 2017): cycle |to_x(to_y(x)) - x| + |to_y(to_x(y)) - y| and identity |to_y(y) - y| +
|to_x(x) - x|; pix2pix (Isola 2017): |to_y(x) - y| for pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Round:
    """One step's real images and what the networks make of them, each made when asked for.

    flipped: the generators see mirrored images (FastCUT's flip equivariance); x and y are as they
    came. common: random numbers that all images of the step share.
    """

    networks: Mapping[str, Any]
    x: Tensor
    y: Tensor
    flipped: bool = False
    common: torch.Generator | None = None

    def shown(self, image: Tensor) -> Tensor:
        """The image as the generators see it."""
        return image.flip(3) if self.flipped else image

    @cached_property
    def made_y(self) -> Tensor:
        """to_y(x), (B, C, H, W)."""
        return self.networks["to_y"](self.shown(self.x))

    @cached_property
    def same_y(self) -> Tensor:
        """to_y(y)."""
        return self.networks["to_y"](self.shown(self.y))

    @cached_property
    def made_x(self) -> Tensor:
        """to_x(y)."""
        return self.networks["to_x"](self.shown(self.y))

    @cached_property
    def same_x(self) -> Tensor:
        """to_x(x)."""
        return self.networks["to_x"](self.shown(self.x))


class Term(Protocol):
    """One step -> its loss, 0-d and without the weight."""

    weight: float

    def __call__(self, now: Round) -> Tensor: ...


@dataclass(frozen=True)
class CycleConsistency:
    """Both ways, L1."""

    weight: float = 10.0

    def __call__(self, now: Round) -> Tensor:
        to_x, to_y = now.networks["to_x"], now.networks["to_y"]
        there = (to_x(now.made_y) - now.shown(now.x)).abs().mean()
        return there + (to_y(now.made_x) - now.shown(now.y)).abs().mean()


@dataclass(frozen=True)
class Identity:
    """A generator leaves its own domain's images as they are, L1; of each generator there is."""

    weight: float = 5.0

    def __call__(self, now: Round) -> Tensor:
        loss = (now.same_y - now.shown(now.y)).abs().mean()
        if "to_x" in now.networks:
            loss = loss + (now.same_x - now.shown(now.x)).abs().mean()
        return loss


@dataclass(frozen=True)
class ToTruth:
    """|to_y(x) - y| of pairs, L1."""

    weight: float = 100.0

    def __call__(self, now: Round) -> Tensor:
        return (now.made_y - now.shown(now.y)).abs().mean()
