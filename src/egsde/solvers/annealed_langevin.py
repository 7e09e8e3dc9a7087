"""Annealed Langevin's corrector: x + e score + sqrt(2 e) z, e = 2 a^2 (r sigma_t)^2.

Song & Ermon 2019 (NCSNv1, arXiv 1907.05600) and 2020 (NCSNv2, 2006.09011) take steps in proportion
to sigma_t^2 at each level, from the largest to the smallest; a of q(x_t | x_s) is 1 there.
`PredictorCorrector(None, AnnealedLangevin(...), corrections=L, corrector_first=True)` is their
sampler, a chain's last step the final denoising of NCSNv2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.langevin import check_snr, langevin_step, shrinkage


def ncsn_snr(step_size: float, sigma_min: float) -> float:
    """r of NCSNv2's rule e_i = step_size sigma_i^2 / sigma_min^2: sqrt(step_size / 2) / sigma_min.

    NCSNv1 writes x + (alpha / 2) score + sqrt(alpha) z: its step_size is half its epsilon.
    ValueError unless both are above 0.
    """
    if step_size <= 0 or sigma_min <= 0:
        raise ValueError(
            "annealed Langevin steps grow as sigma^2 / sigma_min^2 and need step_size > 0 and "
            f"sigma_min > 0 (the smallest noisy level), got {step_size} and {sigma_min}"
        )
    return math.sqrt(step_size / 2) / sigma_min


@dataclass(frozen=True)
class AnnealedLangevin(Solver):
    """As a step it stays at t; s is the other end of the predictor's interval, for a only.

    snr: r in (0, 1); from r = 1 on the steps diverge, e >= 2 sigma^2.
    """

    snr: float = 0.16

    def __post_init__(self) -> None:
        check_snr(self.snr)

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        variance = (self.snr * reverse.sde.sigma(t)).square()
        size = 2 * shrinkage(reverse.sde, t, s) * variance
        return langevin_step(x, reverse.score(x, t), size, randn(x)), carry
