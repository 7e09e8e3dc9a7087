"""Reverse diffusion: (2 - a) x + (1 + eta^2) / 2 std^2 score + eta std z, a, std of q(x_t | x_s).

Song 2021 (arXiv 2011.13456), appendix E: the reverse SDE in the forward chain's own step
x_t = a x_s + std z. VP: (2 - sqrt(1 - beta)) x + beta score + sqrt(beta) z; VE: SMLD's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class ReverseDiffusion(Solver):
    """eta = 1: reverse SDE; eta = 0: probability flow. No noise is added into clean data."""

    eta: float = 1.0
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        a, std = reverse.sde.transition(s, t)
        x_s = (2 - a) * x + 0.5 * (1 + self.eta**2) * std.square() * reverse.score(x, t)
        if self.eta > 0:
            noisy = (reverse.sde.sigma(s) > 0).to(t)
            x_s = x_s + self.eta * noisy * std * randn(x)
        return x_s, None
