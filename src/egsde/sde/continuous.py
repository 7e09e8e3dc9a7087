"""Continuous time: VP, sub-VP, VE (Song 2021), cosine (Nichol 2021), geometric VP, EDM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.sde.base import VarianceExploding, VariancePreserving


@dataclass(frozen=True)
class VP(VariancePreserving):
    """Variance preserving, beta(t) = beta_min + t (beta_max - beta_min) (Song 2021, eq. 32).

    alpha = exp(-t^2 (beta_max - beta_min) / 4 - t beta_min / 2), sigma^2 = 1 - alpha^2. ValueError
    unless 0 < beta_min <= beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(
                f"{type(self).__name__} needs 0 < beta_min <= beta_max, got {self.beta_min} and "
                f"{self.beta_max}"
            )

    def log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * t.square() * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def beta(self, t: Tensor) -> Tensor:
        return self.beta_min + t * (self.beta_max - self.beta_min)


@dataclass(frozen=True)
class SubVP(VP):
    """Sub-VP: VP's alpha with less noise, sigma = 1 - alpha^2 (Song 2021, eq. 29).

    g = sqrt(beta (1 - alpha^4)); the kernel's variance is (1 - a^2) (1 - alpha_s^2 alpha_t^2).
    """

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(2 * self.log_alpha(t))

    def diffusion(self, t: Tensor) -> Tensor:
        return (self.beta(t) * -torch.expm1(4 * self.log_alpha(t))).sqrt()

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        before, after = self.log_alpha(s), self.log_alpha(t)
        variance = torch.expm1(2 * (after - before)) * torch.expm1(2 * (after + before))
        return (after - before).exp(), variance.clamp(min=0).sqrt()


@dataclass(frozen=True)
class CosineVP(VariancePreserving):
    """alpha = cos(pi/2 (t + offset) / (1 + offset)) over its value at 0 (Nichol 2021, eq. 17).

    beta = pi / (1 + offset) tan(...) has a pole at t = 1, so the process ends at T = 0.9946, as
    in DPM-Solver (Lu 2022): alpha(T) = 0.0084 (VP ends at 0.0066) and beta(T) = 370. ValueError for
    an offset of 0 or less, or T of 1 or more.
    """

    offset: float = 0.008
    T: float = 0.9946
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if self.offset <= 0 or not 0 < self.t_min < self.T < 1:
            raise ValueError(
                f"CosineVP needs offset > 0 and t_min < T < 1, got offset={self.offset}, "
                f"t_min={self.t_min}, T={self.T}"
            )

    def log_alpha(self, t: Tensor) -> Tensor:
        """log(cos(x + d) / cos(x)), written so that it is accurate near t = 0."""
        d = math.pi / 2 * t / (1 + self.offset)
        first = math.tan(math.pi / 2 * self.offset / (1 + self.offset))
        return torch.log1p(-2 * (d / 2).sin().square() - first * d.sin())

    def beta(self, t: Tensor) -> Tensor:
        angle = math.pi / 2 * (t + self.offset) / (1 + self.offset)
        return math.pi / (1 + self.offset) * angle.tan()


@dataclass(frozen=True)
class GeometricVP(VariancePreserving):
    """sigma^2 = sigma2_min (sigma2_max / sigma2_min)^t, alpha^2 = 1 - sigma^2 (Vahdat 2021, LSGM).

    beta = log(sigma2_max / sigma2_min) sigma^2 / (1 - sigma^2): the likelihood's g^2 / sigma^2
    hardly varies but near t = 1, so that uniform times estimate it well. As of VE, t = 0 is not
    quite clean. ValueError unless 0 < sigma2_min < sigma2_max < 1.
    """

    sigma2_min: float = 3e-5  # LSGM's README
    sigma2_max: float = 0.999
    t_min: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 < self.sigma2_min < self.sigma2_max < 1:
            raise ValueError(
                f"GeometricVP needs 0 < sigma2_min < sigma2_max < 1, got {self.sigma2_min} and "
                f"{self.sigma2_max}"
            )

    @property
    def rate(self) -> float:
        return math.log(self.sigma2_max / self.sigma2_min)

    def variance(self, t: Tensor) -> Tensor:
        return self.sigma2_min * (self.rate * t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return self.variance(t).sqrt()

    def log_alpha(self, t: Tensor) -> Tensor:
        return 0.5 * torch.log1p(-self.variance(t))

    def beta(self, t: Tensor) -> Tensor:
        variance = self.variance(t)
        return self.rate * variance / (1 - variance)


@dataclass(frozen=True)
class VE(VarianceExploding):
    """Variance exploding, sigma = sigma_min (sigma_max / sigma_min)^t (Song 2021, eq. 31).

    sigma(0) = sigma_min, as in score_sde (sde_lib.py). The label 999 t is affine in log sigma.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    t_min: float = 1e-5

    def __post_init__(self) -> None:
        _check_sigmas(self)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def diffusion(self, t: Tensor) -> Tensor:
        return self.sigma(t) * math.sqrt(2 * math.log(self.sigma_max / self.sigma_min))


@dataclass(frozen=True)
class EDM(VarianceExploding):
    """Time is the noise level: sigma = t from sigma_min to T = sigma_max, g = sqrt(2 t).

    Karras 2022 (arXiv 2206.00364), table 1. A start is a noise level, not a share of [0, 1].
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    log_mean: float = -1.2  # training: log sigma ~ N(log_mean, log_std^2)
    log_std: float = 1.2

    def __post_init__(self) -> None:
        _check_sigmas(self)

    @property
    def T(self) -> float:
        return self.sigma_max

    @property
    def t_min(self) -> float:
        return self.sigma_min

    @property
    def t_train(self) -> float:
        return self.sigma_min

    def sigma(self, t: Tensor) -> Tensor:
        return t * 1

    def diffusion(self, t: Tensor) -> Tensor:
        return (2 * t).sqrt()

    def fraction(self, t: Tensor) -> Tensor:
        """In log sigma: time itself would leave no steps to a start at an image's noise levels."""
        return (t / self.sigma_min).log() / math.log(self.sigma_max / self.sigma_min)

    def training_time(self, u: Tensor) -> Tensor:
        """Map u uniform in [0, 1) to log-normal noise levels, kept in [sigma_min, sigma_max]."""
        log_sigma = self.log_mean + self.log_std * torch.special.ndtri(u)
        return log_sigma.exp().clamp(self.sigma_min, self.sigma_max)

    def network_time(self, t: Tensor) -> Tensor:
        """Affine in log sigma: 0 at sigma_min, 999 at sigma_max, as VE's."""
        return 999 * self.fraction(t)


def _check_sigmas(sde: VE | EDM) -> None:
    if not 0 < sde.sigma_min < sde.sigma_max:
        raise ValueError(
            f"{type(sde).__name__} needs 0 < sigma_min < sigma_max, got {sde.sigma_min} and "
            f"{sde.sigma_max}"
        )
