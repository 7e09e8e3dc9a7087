"""Stochastic Heun: the mean of the reverse SDE's coefficients at both ends of the step.

    y   = x + b(x, t) h + g(t) dW
    x_s = x + (b(x, t) + b(y, s)) h / 2 + (g(t) + g(s)) dW / 2

with h = s - t < 0 and b the reverse drift (Kloeden & Platen 1992, section 15.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.ddim import DDIM


@dataclass(frozen=True)
class HeunSDE(Solver):
    """Two scores a step, at t and s only, so chains are possible; one (x0) into clean data."""

    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 1.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        if not sde.sigma(s) > 0:
            return DDIM().step(reverse, x, t, s, randn)
        h, dw = s - t, (t - s).sqrt() * randn(x)
        b = reverse.drift(x, t)
        y = x + b * h + sde.diffusion(t) * dw
        b = 0.5 * (b + reverse.drift(y, s))
        return x + b * h + 0.5 * (sde.diffusion(t) + sde.diffusion(s)) * dw, None
