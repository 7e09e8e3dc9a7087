"""The step that leaves a time: inner's mean taken again and again from the same time, then inner's
step (the official code of SDDM, Sun 2023, takes four before the last step on its manifold)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver

if TYPE_CHECKING:
    from egsde.sde import SDE


@dataclass(frozen=True)
class Refined(Solver):
    """times: so many means x <- E[x_s | x_t = x] at the one step from t > until to s <= until."""

    inner: Solver
    until: float
    times: int = 4

    def check(self, sde: SDE) -> None:
        self.inner.check(sde)

    def plan(self, times: Tensor) -> Refined:
        return replace(self, inner=self.inner.plan(times))

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        if float(s) <= self.until < float(t):
            for _ in range(self.times):
                x, _ = self.inner.step(reverse, x, t, s, torch.zeros_like, carry)
        return self.inner.step(reverse, x, t, s, randn, carry)
