"""Ancestral sampling with a learned noise: log variance v log beta + (1 - v) log posterior.

Nichol 2021, eq. 15: the standard deviation is std (sigma_s / sigma_t)^(1 - v), with a, std of
q(x_t | x_s) and v in [0, 1] per pixel from the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.ancestral import mean_and_std
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class LearnedVariance(Solver):
    """learned_v: (x, t) -> v in [0, 1], like x, of log variance v log beta + (1 - v) log posterior
    (Nichol 2021, eq. 15). No noise is added into clean data."""

    learned_v: Callable[[Tensor, Tensor], Tensor]
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        mean, std = mean_and_std(reverse, x, t, s)
        ratio = sde.sigma(s) / sde.sigma(t)
        if not ratio > 0:
            return mean, None
        return mean + std * ratio ** (1 - self.learned_v(x, t)) * randn(x), None
