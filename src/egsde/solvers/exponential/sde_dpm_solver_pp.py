"""SDE-DPM-Solver++: DPM-Solver++ on the reverse SDE (Lu 2022, arXiv 2211.01095, section 5).

    2M:  x_s = (sigma_s / sigma_t) e^-h x_t + alpha_s (1 - e^-2h) (m_0 + (m_0 - m_1) / (2 r))
               + sigma_s sqrt(1 - e^-2h) z

m and r as in `dpm_solver`. Guidance enters m: x0 - (sigma^2 / alpha) grad E.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.solvers.exponential.forms import DenoisedForm, Moments, Variable, dpm
from egsde.solvers.exponential.multistep import Multistep


@dataclass(frozen=True)
class SDEDPMSolverPP(Multistep):
    """Order 1 is ancestral sampling, DDIM(eta=1). The mean of Gaussian data is exact."""

    moments: Moments = dpm
    strong_order: ClassVar[float | None] = 1.0

    def form(self, s: Tensor) -> Variable:
        return DenoisedForm(tau=1.0)

    def orders(self) -> tuple[float | None, float | None]:
        return float(min(self.order, 2)), 1.0
