"""Forward processes: dx = f(t) x dt + g(t) dw, so x_t = alpha(t) x_0 + sigma(t) eps (Song 2021).

A process is its two coefficients; drift, diffusion and transition kernels are derived from them.
Times are float64 0-d CPU tensors while sampling and (B, 1, 1, 1) while training; everything
broadcasts and keeps the dtype and device of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from egsde.reverse import Reverse


class SDE:
    """A linear SDE with scalar noise, given by alpha(t) and sigma(t) on t in [0, T]."""

    T: float = 1.0
    t_min: float = 1e-3  # sampling stops here (score_sde run_lib.py); 0 is clean data
    t_train: float = 1e-5  # smallest time seen in training (score_sde losses.py)

    def alpha(self, t: Tensor) -> Tensor:
        """Signal coefficient of x_t = alpha(t) x_0 + sigma(t) eps."""
        raise NotImplementedError

    def sigma(self, t: Tensor) -> Tensor:
        """Noise level of x_t = alpha(t) x_0 + sigma(t) eps."""
        raise NotImplementedError

    def drift(self, t: Tensor) -> Tensor:
        """f(t) = d log alpha / dt, by autograd unless overridden."""
        return _derivative(lambda u: self.alpha(u).log(), t)

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t) = sqrt(d sigma^2 / dt - 2 f sigma^2), by autograd unless overridden."""
        growth = _derivative(lambda u: self.sigma(u).square(), t)
        return (growth - 2 * self.drift(t) * self.sigma(t).square()).clamp(min=0).sqrt()

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(a, std) of q(x_t | x_s) = N(a x_s, std^2), s < t."""
        a = self.alpha(t) / self.alpha(s)
        variance = self.sigma(t).square() - (a * self.sigma(s)).square()
        return a, variance.clamp(min=0).sqrt()

    def perturb(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t = alpha(t) x_0 + sigma(t) eps, in the dtype of x_0."""
        return (self.alpha(t) * x0 + self.sigma(t) * eps).to(x0.dtype)

    def snap(self, t: Tensor) -> Tensor:
        """Nearest time the process has; the identity when it is continuous."""
        return t

    @property
    def t_noisy(self) -> float:
        """The smallest time of a grid at which sigma > 0."""
        return self.t_min or self.t_train

    def check_start(self, start: float) -> None:
        """Raise ValueError unless a translation can start at this time."""
        if not self.t_min < start <= self.T:
            raise ValueError(
                f"t_start={start} is outside ({self.t_min}, {self.T}] of {self}; "
                "use a time inside, such as 0.5"
            )

    def training_time(self, u: Tensor) -> Tensor:
        """Map u uniform in [0, 1) to a training time: uniform in [t_train, T]."""
        return self.t_train + (self.T - self.t_train) * u

    def network_time(self, t: Tensor) -> Tensor:
        """Time label of a network trained on this process: 999 t (score_sde models/utils.py)."""
        return t * 999

    def reverse(self, score: Callable[[Tensor, Tensor], Tensor]) -> Reverse:
        """The reverse process of this one under a score function (x, t) -> like x."""
        return Reverse(self, score)


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    with torch.enable_grad():
        u = t.detach().requires_grad_()
        return torch.autograd.grad(function(u).sum(), u)[0]


@dataclass(frozen=True)
class VP(SDE):
    """Variance preserving, beta(t) = beta_min + t (beta_max - beta_min) (Song 2021, eq. 32).

    alpha = exp(-t^2 (beta_max - beta_min) / 4 - t beta_min / 2), sigma^2 = 1 - alpha^2.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.beta_min <= self.beta_max:
            raise ValueError(
                f"VP needs 0 < beta_min <= beta_max, got {self.beta_min} and {self.beta_max}"
            )

    def log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * t.square() * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def beta(self, t: Tensor) -> Tensor:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def alpha(self, t: Tensor) -> Tensor:
        return self.log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(2 * self.log_alpha(t))).sqrt()

    def drift(self, t: Tensor) -> Tensor:
        return -0.5 * self.beta(t)

    def diffusion(self, t: Tensor) -> Tensor:
        return self.beta(t).sqrt()

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        log_a = self.log_alpha(t) - self.log_alpha(s)
        return log_a.exp(), (-torch.expm1(2 * log_a)).clamp(min=0).sqrt()


def linear_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """beta_i evenly spaced (Ho 2020)."""
    return torch.linspace(start, end, levels, dtype=torch.float64)


def quad_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """sqrt(beta_i) evenly spaced."""
    return torch.linspace(start**0.5, end**0.5, levels, dtype=torch.float64).square()


def const_betas(levels: int = 1000, value: float = 0.02) -> Tensor:
    """beta_i = value."""
    return torch.full((levels,), value, dtype=torch.float64)


def jsd_betas(levels: int = 1000) -> Tensor:
    """beta_i = 1 / (levels - i + 1): alpha^2 falls linearly to zero (Sohl-Dickstein 2015)."""
    return 1.0 / torch.linspace(levels, 1, levels, dtype=torch.float64)


def sigmoid_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """A sigmoid of [-6, 6] between start and end."""
    ramp = torch.linspace(-6, 6, levels, dtype=torch.float64).sigmoid()
    return start + (end - start) * ramp


def cosine_betas(levels: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """alpha^2 = cos^2 of a shifted time, beta_i capped (Nichol 2021, eq. 17)."""
    t = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    alpha_bar = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest)


@dataclass(frozen=True, eq=False)
class DDPM(SDE):
    """The chain q(x_i | x_{i-1}) = N(sqrt(1 - beta_i) x_{i-1}, beta_i) (Ho 2020) as tables.

    Level i is at t = i / levels; level 0 is clean data (alpha 1, sigma 0). betas: (levels,) in
    (0, 1]. Drift and diffusion are those of the VP process it samples, beta(t) = levels beta_i.
    The network takes the index i - 1, as in the official code (runners/egsde.py).
    """

    betas: Tensor = field(default_factory=linear_betas)
    t_min: float = 0.0

    def __post_init__(self) -> None:
        betas = self.betas
        if betas.ndim != 1 or not bool(((betas > 0) & (betas <= 1)).all()):
            raise ValueError(
                f"DDPM needs betas of shape (levels,) in (0, 1], got {tuple(betas.shape)} in "
                f"[{float(betas.min())}, {float(betas.max())}]"
            )

    def __repr__(self) -> str:
        return f"DDPM({self.levels})"

    @property
    def levels(self) -> int:
        return len(self.betas)

    @cached_property
    def _log_alpha(self) -> Tensor:
        log_alpha = 0.5 * torch.log1p(-self.betas.double()).cumsum(0)
        return torch.cat([log_alpha.new_zeros(1), log_alpha])

    @cached_property
    def _beta(self) -> Tensor:  # level 0 borrows the first: the process is continuous there
        return self.levels * torch.cat([self.betas[:1], self.betas]).double()

    def level(self, t: Tensor) -> Tensor:
        """Index 0 .. levels of the nearest level, int64."""
        return (t * self.levels).round().long()

    def _look_up(self, table: Tensor, t: Tensor) -> Tensor:
        return table.to(t.device)[self.level(t)].to(t.dtype)

    def alpha(self, t: Tensor) -> Tensor:
        return self._look_up(self._log_alpha.exp(), t)

    def sigma(self, t: Tensor) -> Tensor:
        return self._look_up((-torch.expm1(2 * self._log_alpha)).sqrt(), t)

    def drift(self, t: Tensor) -> Tensor:
        return self._look_up(-0.5 * self._beta, t)

    def diffusion(self, t: Tensor) -> Tensor:
        return self._look_up(self._beta.sqrt(), t)

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        log_a = self._look_up(self._log_alpha, t) - self._look_up(self._log_alpha, s)
        return log_a.exp(), (-torch.expm1(2 * log_a)).clamp(min=0).sqrt()

    def snap(self, t: Tensor) -> Tensor:
        return (t * self.levels).round() / self.levels

    @property
    def t_noisy(self) -> float:
        return 1 / self.levels

    def check_start(self, start: float) -> None:
        super().check_start(start)
        below = math.floor(start * self.levels + 1e-6)
        if start * self.levels - below > 1e-6:
            raise ValueError(
                f"t_start={start} lies between levels {below} and {below + 1} of {self}; "
                f"use {below / self.levels} or {(below + 1) / self.levels}"
            )

    def training_time(self, u: Tensor) -> Tensor:
        """Map u uniform in [0, 1) to a level 1 .. levels, each equally likely."""
        return ((u * self.levels).floor() + 1).clamp(max=self.levels) / self.levels

    def network_time(self, t: Tensor) -> Tensor:
        return (t * self.levels).round() - 1
