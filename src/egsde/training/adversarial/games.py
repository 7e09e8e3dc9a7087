"""Two-player games: what a judge minimises on real and made images, and what their maker does.

Each takes logits of any shape and returns a mean; a judge's loss is half the sum of both sides, as
in the official codes of pix2pix, CycleGAN and CUT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

Real = Callable[[], Tensor] | None  # the logits of real images, for games whose makers see them


class Game(Protocol):
    """Logits of the judge D -> 0-d losses, of any shape."""

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        """What D minimises."""
        ...

    def fool(self, made: Tensor, real: Real = None) -> Tensor:
        """What the maker of the images minimises."""
        ...


@dataclass(frozen=True)
class LeastSquares:
    """(D(y) - 1)^2 + D(made)^2 against (D(made) - 1)^2 (Mao 2017, LSGAN)."""

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        return ((real - 1).square().mean() + made.square().mean()) / 2

    def fool(self, made: Tensor, real: Real = None) -> Tensor:
        return (made - 1).square().mean()


@dataclass(frozen=True)
class Hinge:
    """max(0, 1 - D(y)) + max(0, 1 + D(made)) against -D(made) (Lim 2017)."""

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        return (F.relu(1 - real).mean() + F.relu(1 + made).mean()) / 2

    def fool(self, made: Tensor, real: Real = None) -> Tensor:
        return -made.mean()


@dataclass(frozen=True)
class NonSaturating:
    """softplus(-D(y)) + softplus(D(made)) against softplus(-D(made)) (Goodfellow 2014)."""

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        return (F.softplus(-real).mean() + F.softplus(made).mean()) / 2

    def fool(self, made: Tensor, real: Real = None) -> Tensor:
        return F.softplus(-made).mean()


@dataclass(frozen=True)
class Relativistic:
    """softplus(D(made) - D(y)) against softplus(D(y) - D(made)), image by image
    (Jolicoeur-Martineau 2018): each side is judged against the other, so that no mode can be left
    for good (Sun 2020; Huang 2024, R3GAN, with both penalties)."""

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        return F.softplus(made - real).mean() / 2

    def fool(self, made: Tensor, real: Real = None) -> Tensor:
        """ValueError where the real images' logits are not given."""
        if real is None:
            raise ValueError("a relativistic game needs the real images' logits, too; got None")
        return F.softplus(real() - made).mean()
