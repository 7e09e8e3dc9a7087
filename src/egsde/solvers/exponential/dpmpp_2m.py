"""DPM-Solver++(2M) by itself (Lu 2022, arXiv 2211.01095, algorithm 2).

    x_s = (sigma_s / sigma_t) x + alpha_s (1 - e^-h) D,    D = m + (m - m_before) h / (2 h_before)

m is the denoised image at t, h = lambda_s - lambda_t the step in lambda = log(alpha / sigma). To
read and to start from: `DPMSolverPP` has the same steps, and other orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class DPMSolverPP2M(Solver):
    """One evaluation a step; the first step has order 1. carry: the last step's m and h."""

    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 2.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde, m = reverse.sde, reverse.x0(x, t)
        if sde.is_clean(s):  # lambda is infinite there
            return sde.alpha(s) * m, None
        h, d = sde.log_snr(s) - sde.log_snr(t), m
        if carry is not None:
            m_before, h_before = carry
            d = m + h / (2 * h_before) * (m - m_before)  # a line through the last two
        return sde.sigma(s) / sde.sigma(t) * x - sde.alpha(s) * torch.expm1(-h) * d, (m, h)
