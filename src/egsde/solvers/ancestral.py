"""Ancestral sampling: (x + std^2 score) / a + noise, with a, std of q(x_t | x_s) (Ho 2020).

VP: DDPM's sampler; VE: SMLD's. On a level chain walked level by level this is the official
EGSDE step, guidance included: mean - beta / sqrt(1 - beta) grad E (functions/denoising.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


def posterior_std(std: Tensor, sigma_s: Tensor, sigma_t: Tensor) -> Tensor:
    """std sigma_s / sigma_t: the posterior's q(x_s | x_t, x_0), "fixedsmall"."""
    return std * sigma_s / sigma_t


def kernel_std(std: Tensor, sigma_s: Tensor, sigma_t: Tensor) -> Tensor:
    """std of q(x_t | x_s), "fixedlarge": sqrt(beta) of a chain's level; none into clean data."""
    return std * (sigma_s > 0)


def mean_and_std(reverse: Reverse, x: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """((x + std^2 score) / a, std): the step without noise, and the kernel's deviation."""
    a, std = reverse.sde.transition(s, t)
    return (x + std.square() * reverse.score(x, t)) / a, std


@dataclass(frozen=True)
class Ancestral(Solver):
    """x_s = (x + std^2 score) / a + noise_std z, with (a, std) of q(x_t | x_s) (Ho 2020).

    noise_std: (std, sigma_s, sigma_t) -> the noise's deviation, `posterior_std` or `kernel_std`.
    """

    noise_std: Callable[[Tensor, Tensor, Tensor], Tensor] = posterior_std
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        mean, std = mean_and_std(reverse, x, t, s)
        return mean + self.noise_std(std, sde.sigma(s), sde.sigma(t)) * randn(x), None
