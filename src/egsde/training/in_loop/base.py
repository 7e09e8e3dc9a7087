"""Gradient modes mode(walk, x) -> x_n: the same numbers, other gradients.

x_n = m_n(... m_1(x)) of a walk's moves m_i. The thesis's model keeps all of them for the
backward pass (`Full`), which takes memory in proportion to n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from egsde.sampling.sampler import Move, Walk
from egsde.solvers.base import Carry


class GradientMode(Protocol):
    """x (B, C, H, W) at times[0] -> the last state; every mode returns the same numbers.

    Gradients flow to x, to the network's parameters and to the condition inside reverse.score, as
    the mode says.
    """

    def __call__(self, walk: Walk, x: Tensor) -> Tensor: ...


def made(moves: Iterable[Move], x: Tensor, carry: Carry = None) -> tuple[Tensor, Carry]:
    """The moves, one after the other."""
    for move in moves:
        x, carry = move(x, carry)
    return x, carry


@dataclass(frozen=True)
class Full:
    """Every step is kept for the backward pass: exact, memory in proportion to the steps."""

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        moves = [move for _, move in walk.moves()]
        return made(moves, x)[0]


@dataclass(frozen=True)
class Truncated:
    """Only the last steps, and the denoising, carry gradients; exact where `last` covers all.

    With fewer, x gets none, nor do the condition and the network through earlier steps. ValueError
    unless last >= 1.
    """

    last: int = 1

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"{self} keeps no step; use last >= 1, or Detached()")

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        moves = [move for _, move in walk.moves()]
        first = max(0, len(walk.times) - 1 - self.last)
        with torch.no_grad():
            x, carry = made(moves[:first], x)
        return made(moves[first:], x, carry)[0]


@dataclass(frozen=True)
class Detached:
    """No gradients: the sampled image is data."""

    flows: ClassVar[bool] = False  # gradients do, through every other mode

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        with torch.no_grad():
            return Full()(walk, x.detach())
