"""SA-Solver: stochastic Adams predictor-corrector in denoised images (Xue 2023, arXiv 2309.05019).

    x_s = (sigma_s / sigma_t) e^(-tau^2 h) x_t + alpha_s sum_j w_j m_j
          + sigma_s sqrt(1 - e^(-2 tau^2 h)) z,   weights exact for the polynomial

Predictor and corrector share z; the corrector adds the difference of their sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.solvers.exponential.forms import DenoisedForm, Moments, Variable, adams
from egsde.solvers.exponential.multistep import Multistep


@dataclass(frozen=True)
class SASolver(Multistep):
    """order: values the predictor reads. corrector: values the corrector reads, the new one
    included; 0 switches it off. tau: noise of steps that end in [t_low, t_high], the rest have
    none; 0 is the ODE, 1 the reverse SDE.
    """

    order: int = 3
    moments: Moments = adams  # bh1: the official code's variant for few steps
    corrector: int = 4
    tau: float = 1.0
    t_low: float = 0.0
    t_high: float = math.inf
    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 1.0

    def form(self, s: Tensor) -> Variable:
        return DenoisedForm(self.tau if self.t_low <= float(s) <= self.t_high else 0.0)

    def corrected(self) -> int:
        return max(self.corrector - 1, 0)

    def orders(self) -> tuple[float | None, float | None]:
        start = 3 if self.corrector > 1 else 2  # what the self-starting first step allows
        reached = float(min(max(self.order, min(self.order + 1, self.corrector)), start))
        return (min(reached, 2.0), 1.0) if self.tau > 0 else (reached, reached)
