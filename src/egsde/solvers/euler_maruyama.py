"""Euler--Maruyama: x + drift(x, t, eta) (s - t) + eta g(t) sqrt(t - s) z (Song 2021, eq. 6).

g does not depend on x, so Milstein's correction vanishes and this is Milstein's method too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class EulerMaruyama(Solver):
    """eta = 1: reverse SDE; eta = 0: Euler's method for the probability-flow ODE.

    A step into clean data (a chain's level 0) adds no noise: z = 0 at the last step of EGSDE's
    Algorithm 1.
    """

    eta: float = 1.0
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0  # as Milstein's: the noise is additive

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        x_s = x + reverse.drift(x, t, self.eta) * (s - t)
        if self.eta > 0:
            noisy = (reverse.sde.sigma(s) > 0).to(t)
            x_s = x_s + self.eta * noisy * reverse.sde.diffusion(t) * (t - s).sqrt() * randn(x)
        return x_s, None
