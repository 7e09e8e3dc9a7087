"""DDIM: alpha_s x0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z, v = eta^2 std^2 sigma_s^2 / sigma_t^2.

Song 2021 (arXiv 2010.02502), eq. 12. eta = 0 is deterministic, eta = 1 is ancestral sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class DDIM(Solver):
    """eta in [0, 1]."""

    eta: float = 0.0
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        _, std = sde.transition(s, t)
        share = self.eta * std / sde.sigma(t)  # sqrt(v) / sigma_s
        eps = reverse.eps(x, t)
        x0 = (x - sde.sigma(t) * eps) / sde.alpha(t)
        x_s = sde.alpha(s) * x0 + sde.sigma(s) * (1 - share.square()).clamp(min=0).sqrt() * eps
        if self.eta > 0:
            x_s = x_s + sde.sigma(s) * share * randn(x)
        return x_s, None
