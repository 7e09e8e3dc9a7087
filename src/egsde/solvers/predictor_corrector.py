"""Predictor--corrector: a solver's step in time and Langevin steps at a fixed time (Song 2021).

Predictor first (algorithms 2 and 3) corrects at s what arrives there; corrector first (the loop of
score_sde's code) corrects at t before leaving. Corrector alone, from level to level: annealed
Langevin dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.ddim import DDIM


@dataclass(frozen=True)
class PredictorCorrector(Solver):
    """corrections: corrector steps per predictor step. One of the two may be None.

    A constraint acts after each of the two. Clean data (sigma_s = 0) is not corrected; without a
    predictor the step into it is x0. A corrector's error stays as steps shrink, so no order is
    declared. ValueError for neither, or corrections below 1.
    """

    predictor: Solver | None
    corrector: Solver | None
    corrections: int = 1
    corrector_first: bool = False

    def __post_init__(self) -> None:
        if self.predictor is None and self.corrector is None:
            raise ValueError("PredictorCorrector needs a predictor, a corrector or both")
        if self.corrections < 1:
            raise ValueError(
                f"corrections must be at least 1, got {self.corrections}; corrector=None has none"
            )

    def check(self, sde: SDE) -> None:
        for solver in (self.predictor, self.corrector):
            if solver is not None:
                solver.check(sde)

    def plan(self, times: Tensor) -> PredictorCorrector:
        return replace(self, predictor=self.predictor and self.predictor.plan(times))

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        if self.corrector_first:
            x = reverse.impose(self._correct(reverse, x, t, s, randn), t)
        x, carry = self._predict(reverse, x, t, s, randn, carry)
        if not self.corrector_first and reverse.sde.sigma(s) > 0:
            x = self._correct(reverse, reverse.impose(x, s), s, t, randn)
        return x, carry

    def _predict(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry
    ) -> tuple[Tensor, Carry]:
        if self.predictor is not None:
            return self.predictor.step(reverse, x, t, s, randn, carry)
        if reverse.sde.sigma(s) > 0:
            return x, carry
        return DDIM().step(reverse, x, t, s, randn)

    def _correct(
        self, reverse: Reverse, x: Tensor, at: Tensor, other: Tensor, randn: Randn
    ) -> Tensor:
        if self.corrector is not None:
            for _ in range(self.corrections):
                x, _ = self.corrector.step(reverse, x, at, other, randn)
        return x
