"""Stochastic Runge--Kutta SRA1 for additive noise (Roessler 2010, SIAM J. Numer. Anal. 48(3)).

With h = t - s, b the reverse drift, dW = sqrt(h) z1 and the time average of the path over the step,
I = h^(-1) int (W_u - W_t) du = sqrt(h) (z1 + z2 / sqrt(3)) / 2:

    y   = x - 3/4 h b(x, t) + 3/2 g(s) I                                      at t - 3/4 h
    x_s = x - h (b(x, t) + 2 b(y, t - 3/4 h)) / 3 + g(s) dW + (g(t) - g(s)) I
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.ddim import DDIM


@dataclass(frozen=True)
class SRK(Solver):
    """Two scores and two draws (z1, then z2) a step; x0, one score, into clean data.

    ValueError on a chain: it has no time t - 3/4 h.
    """

    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 1.5

    def check(self, sde: SDE) -> None:
        if sde.levels is not None:
            raise ValueError(
                f"SRK evaluates the score between levels, which {sde} does not have; use a "
                "continuous process (sde=vp, sde=ve) or solvers.HeunSDE, which needs levels only"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        if not sde.sigma(s) > 0:
            return DDIM().step(reverse, x, t, s, randn)
        h, z = t - s, randn(x)
        dw = h.sqrt() * z
        average = 0.5 * h.sqrt() * (z + randn(x) / math.sqrt(3))
        g, g_s = sde.diffusion(t), sde.diffusion(s)
        b = reverse.drift(x, t)
        y = x - 0.75 * h * b + 1.5 * g_s * average
        b = (b + 2 * reverse.drift(y, t - 0.75 * h)) / 3
        return x - h * b + g_s * dw + (g - g_s) * average, None
