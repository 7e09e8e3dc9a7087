"""UniPC by itself (Zhao 2023, arXiv 2302.04867, algorithms 5 to 8), predicting the denoised image.

    x_s = (sigma_s / sigma_t) x - alpha_s (e^-h - 1) m - alpha_s B(-h) sum_k rho_k (m_k - m) / r_k
    sum_k r_k^(i-1) rho_k = i! phi_i / B(-h),   phi_1 = (e^-h - 1) / (-h) - 1,
                                                phi_(i+1) = phi_i / (-h) - 1 / (i+1)!

m is the denoised image at t and h = lambda_s - lambda_t; the m_k are older ones at r_k = (lambda_k
- lambda_t) / h. The corrector is the same formula with the value at s among them, r = 1. To read
and to start from: `UniPC` has the same steps, and goes with constraints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver

Known = tuple[Tensor, Tensor]  # (lambda, denoised image)


def b1(h: Tensor) -> Tensor:
    """B_1(h) = h."""
    return h


@dataclass(frozen=True)
class PlainUniPC(Solver):
    """order: denoised images that a prediction reads, 1, 2, 3 ...; b: `b1`, or B_2(h) = e^h - 1.

    carry: where the last step began, its time, and the images known there, newest first.
    """

    order: int = 3
    b: Callable[[Tensor], Tensor] = torch.expm1
    weak_order: ClassVar[float | None] = 3.0
    strong_order: ClassVar[float | None] = 3.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde, here = reverse.sde, (reverse.sde.log_snr(t), reverse.x0(x, t))
        known: tuple[tuple[Tensor, Tensor], ...] = ()
        if carry is not None:  # the corrector takes the last step again, up to x at t
            start, before, known = carry
            x = self._update(sde, start, before, t, (*known, here))
        if sde.is_clean(s):  # lambda is infinite there
            return sde.alpha(s) * here[1], None
        known = (here, *known)[: self.order]
        return self._update(sde, x, t, s, known), (x, t, known)

    def _update(
        self, sde: SDE, x: Tensor, t: Tensor, s: Tensor, known: tuple[Known, ...]
    ) -> Tensor:
        (lambda_t, m), *others = known
        h = sde.log_snr(s) - lambda_t
        x = sde.sigma(s) / sde.sigma(t) * x - sde.alpha(s) * torch.expm1(-h) * m
        if not others:
            return x
        r = torch.stack([(lambda_k - lambda_t) / h for lambda_k, _ in others])
        for rho_k, r_k, (_, m_k) in zip(self._rho(r, h), r, others, strict=True):
            x = x - sde.alpha(s) * self.b(-h) * rho_k * (m_k - m) / r_k
        return x

    def _rho(self, r: Tensor, h: Tensor) -> Tensor:
        """The weights (k,); 1/2 for a single one, whatever B is (the paper's remark)."""
        if len(r) == 1:
            return torch.full_like(r, 0.5)
        phi, moments = torch.expm1(-h) / -h - 1, []
        for i in range(1, len(r) + 1):
            moments.append(math.factorial(i) * phi / self.b(-h))
            phi = phi / -h - 1 / math.factorial(i + 1)
        powers = torch.stack([r**i for i in range(len(r))])
        return torch.linalg.solve(powers, torch.stack(moments))
