"""Heun's method for the probability-flow ODE: x + (b(x, t) + b(x', s)) (s - t) / 2.

x' = x + b(x, t) (s - t), b = f x - g^2 score / 2 (Song 2021). Euler's is EulerMaruyama(eta=0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class Heun(Solver):
    """Two evaluations a step, order 2. Into clean data, where no score is, a DDIM step: x0."""

    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 2.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        if reverse.sde.is_clean(s):
            return reverse.sde.alpha(s) * reverse.x0(x, t), None
        slope = reverse.drift(x, t, eta=0)
        ahead = reverse.drift(x + (s - t) * slope, s, eta=0)
        return x + (s - t) / 2 * (slope + ahead), None
