"""Processes with two ends: images of the target at t = 0, images of the source at T.

`Straight` has the source in place of noise; `Brownian` has noise of its own and is pinned at both
ends, x_t | x_0, x_T. What follows of alpha and sigma holds for both, so solvers need not know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.sde.base import SDE, VarianceExploding


@dataclass(frozen=True)
class Straight(SDE):
    """alpha = 1 - t, sigma = t: x_t = (1 - t) x_0 + t eps (Lipman 2023, Liu 2023), eps the source.

    It ends at T < 1, where alpha is not yet 0: conversions divide by alpha. ValueError unless 0 <
    t_min < T < 1.
    """

    T: float = 0.999
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.t_min < self.T < 1:
            raise ValueError(f"Straight needs 0 < t_min < T < 1, got {self.t_min} and {self.T}")

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t * 1

    def drift(self, t: Tensor) -> Tensor:
        return -1 / (1 - t)

    def diffusion(self, t: Tensor) -> Tensor:
        return (2 * t / (1 - t)).sqrt()


@dataclass(frozen=True)
class Brownian(VarianceExploding):
    """dx = sqrt(beta) dw, alpha = 1: sigma^2 rises from 0 to `variance`.

    beta is `edge` times its mean at both ends and rises to the middle in a straight line of
    sqrt(beta) (I2SB, Liu 2023, arXiv 2302.05872, has 0.52); edge = 1 is Brownian motion (DSBM).
    ValueError for a variance of 0 or less, or an edge outside (0, 1].
    """

    variance: float = 0.25
    edge: float = 1.0
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if self.variance <= 0 or not 0 < self.edge <= 1:
            raise ValueError(
                f"Brownian needs variance > 0 and 0 < edge <= 1, got {self.variance} and "
                f"{self.edge}"
            )

    @property
    def _roots(self) -> tuple[float, float]:
        """sqrt(beta / variance) at the ends and in the middle: its square has the mean 1."""
        a = math.sqrt(self.edge)
        b = (-a + math.sqrt(a**2 - 4 * (a**2 - 3))) / 2  # (a^2 + a b + b^2) / 3 = 1
        return a, b

    def _share(self, t: Tensor) -> Tensor:
        """sigma^2 / variance for t up to 1/2."""
        a, b = self._roots
        rise = 2 * (b - a)
        return t * (a**2 + a * rise * t + (rise * t).square() / 3)

    def sigma(self, t: Tensor) -> Tensor:
        late = 1 - self._share(1 - t)
        return (self.variance * torch.where(t < 0.5, self._share(t), late)).sqrt()

    def diffusion(self, t: Tensor) -> Tensor:
        a, b = self._roots
        return math.sqrt(self.variance) * (a + 2 * (b - a) * torch.minimum(t, 1 - t))
