"""EDM's stochastic sampler: raise the noise a little, then a Heun step in sigma (Karras 2022).

    sigma' = sigma (1 + gamma),  x' = x + sqrt(sigma'^2 - sigma^2) S_noise z,  d = (x' - D) / sigma'

Algorithm 2 of arXiv 2206.00364, for any process by x / alpha and sigma / alpha.
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


@dataclass(frozen=True)
class EDMHeun(Solver):
    """gamma = min(s_churn / steps, sqrt 2 - 1) at noise levels in [s_tmin, s_tmax], else 0.

    steps is the paper's N of a whole run: the grid's steps and, where the grid ends in noise, the
    denoising one: Karras(N - 1) with Sampler(denoise=True) is Algorithm 2 with N steps, since
    Euler's step into zero noise returns D. s_churn = 0 is deterministic. ValueError for s_churn
    below 0 or steps below 1.
    """

    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = math.inf
    s_noise: float = 1.0
    steps: int = 18
    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 2.0

    def __post_init__(self) -> None:
        if self.s_churn < 0 or self.steps < 1:
            raise ValueError(
                f"EDMHeun needs s_churn >= 0 and steps >= 1, got {self.s_churn} and {self.steps}"
            )
        if self.s_churn > 0:  # noise of one step size is not a part of another's
            object.__setattr__(self, "strong_order", None)

    def check(self, sde: SDE) -> None:
        """ValueError for s_churn above 0 on a process with levels."""
        if self.s_churn > 0 and sde.levels is not None:
            raise ValueError(
                f"EDMHeun with s_churn={self.s_churn} raises the noise between the levels of "
                f"{sde}; use s_churn=0, or a continuous process, as sde=edm"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        sigma, u = _ratio(sde, t), t
        x_u = x / sde.alpha(t)
        if self.s_churn > 0 and self.s_tmin <= float(sigma) <= self.s_tmax:
            raised = sigma * (1 + min(self.s_churn / self.steps, math.sqrt(2) - 1))
            u = sde.time(-raised.log())  # past T if need be
            x_u = x_u + (raised.square() - sigma.square()).sqrt() * self.s_noise * randn(x)
            sigma = raised
        denoised = reverse.x0(sde.alpha(u) * x_u, u)
        if sde.is_clean(s):
            return sde.alpha(s) * denoised, None
        lower = _ratio(sde, s)
        slope = (x_u - denoised) / sigma
        x_s = x_u + (lower - sigma) * slope
        ahead = (x_s - reverse.x0(sde.alpha(s) * x_s, s)) / lower
        return sde.alpha(s) * (x_u + (lower - sigma) / 2 * (slope + ahead)), None


def _ratio(sde: SDE, t: Tensor) -> Tensor:
    return sde.sigma(t) / sde.alpha(t)
