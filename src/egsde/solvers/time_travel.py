"""Time travel: inner's step where the time falls, q(x_s | x_t) = N(a x_t, std^2) where it rises.

RePaint's resampling (Lugmayr 2022, Algorithm 1, line 9). Imposing known pixels anew after a rise
changes no law: their noise is independent of the other pixels either way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver

if TYPE_CHECKING:
    from egsde.sde import SDE


@dataclass(frozen=True)
class TimeTravel(Solver):
    """inner: any solver. What it carried is dropped on a rise: it belongs to another path."""

    inner: Solver

    def check(self, sde: SDE) -> None:
        self.inner.check(sde)

    def plan(self, times: Tensor) -> TimeTravel:
        return replace(self, inner=self.inner.plan(times))

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        if s < t:
            return self.inner.step(reverse, x, t, s, randn, carry)
        a, std = reverse.sde.transition(t, s)
        return a * x + std * randn(x), None
