"""Langevin corrector: x + e score + sqrt(2 e) z at a fixed time, e = 2 a^2 (r |z| / |score|)^2.

Song 2021 (arXiv 2011.13456), algorithms 4 and 5; a of q(x_t | x_s), 1 for VE. Where p_t is
N(m, v) in many pixels the chain settles at variance v (1 + a^2 r^2), not at v: 2.6 % too wide at
r = 0.16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


def per_image(x: Tensor) -> Tensor:
    """Each image's norm, (B, 1, 1, 1): no image sees another."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), keepdim=True)


def batch_mean(x: Tensor) -> Tensor:
    """The mean norm of the batch, (1, 1, ...): score_sde's (sampling.py); it couples images."""
    return per_image(x).mean(0, keepdim=True)


def shrinkage(sde: SDE, t: Tensor, s: Tensor) -> Tensor:
    """a^2 of the kernel between two times: a chain's 1 - beta_i."""
    return sde.transition(torch.minimum(t, s), torch.maximum(t, s))[0].square()


def langevin_step(x: Tensor, score: Tensor, size: Tensor, z: Tensor) -> Tensor:
    """x + e score + sqrt(2 e) z. A fixed e settles at v / (1 - e / (2 v)) on N(m, v)."""
    return x + size * score + (2 * size).sqrt() * z


def check_snr(snr: float) -> None:
    """Raise ValueError unless 0 < snr < 1: e below twice the variance of the noise."""
    if not 0 < snr < 1:
        raise ValueError(f"snr is {snr}; Langevin steps need 0 < snr < 1, such as 0.16")


@dataclass(frozen=True)
class Langevin(Solver):
    """x + e score + sqrt(2 e) z, e = 2 a^2 (r |z| / |score|)^2 (Song 2021, algorithms 4 and 5).

    As a step it stays at t; s is the other end of the predictor's interval, for a only.

    snr: r, the ratio of noise to score step, in (0, 1), else ValueError. norm:
    `per_image` or `batch_mean`.
    """

    snr: float = 0.16  # Song 2021, CIFAR-10 VE and CelebA-HQ
    norm: Callable[[Tensor], Tensor] = per_image

    def __post_init__(self) -> None:
        check_snr(self.snr)

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        score, z = reverse.score(x, t), randn(x)
        ratio = self.snr * self.norm(z) / self.norm(score)
        size = 2 * shrinkage(reverse.sde, t, s) * ratio.square()
        return langevin_step(x, score, size, z), carry
