"""Forward processes: dx = f(t) x dt + g(t) dw, so x_t = alpha(t) x_0 + sigma(t) eps (Song 2021).

A process is its two coefficients; drift, diffusion and transition kernels are derived from them.
Times are float64 0-d CPU tensors while sampling and (B, 1, 1, 1) while training; everything
broadcasts and keeps the dtype and device of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class SDE:
    """A linear SDE with scalar noise, given by alpha(t) and sigma(t) on t in [0, T]."""

    @property
    def T(self) -> float:
        """The time of pure noise, where generation starts."""
        return 1.0

    @property
    def t_min(self) -> float:
        """Sampling stops here (score_sde run_lib.py); 0 is clean data."""
        return 1e-3

    @property
    def t_train(self) -> float:
        """Smallest time seen in training (score_sde losses.py)."""
        return 1e-5

    @property
    def levels(self) -> int | None:
        """How many times a chain has beside clean data; None for a continuous process."""
        return None

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

    def log_snr(self, t: Tensor) -> Tensor:
        """lambda = log(alpha / sigma), falling; infinite at clean data."""
        return self.alpha(t).log() - self.sigma(t).log()

    def time(self, log_snr: Tensor) -> Tensor:
        """`log_snr` backwards, by bisection to the accuracy of its dtype, past T if need be."""
        low, high = torch.zeros_like(log_snr), torch.full_like(log_snr, self.T)
        while bool((self.log_snr(high) > log_snr).any()):
            high = 2 * high
        for _ in range(80):
            middle = (low + high) / 2
            if bool(((middle == low) | (middle == high)).all()):
                break  # no number lies between
            early = self.log_snr(middle) > log_snr
            low, high = torch.where(early, middle, low), torch.where(early, high, middle)
        return high

    def is_clean(self, t: Tensor) -> bool:
        """Whether this one time is clean data, where no score exists and only x_0 is left."""
        return not float(self.sigma(t)) > 0

    def denoised(self, x: Tensor, t: Tensor, score: Tensor) -> Tensor:
        """E[x_0 | x_t = x] for the score's value at x (Tweedie): (x + sigma^2 score) / alpha."""
        return (x + self.sigma(t).square() * score) / self.alpha(t)

    def score_of(self, x0: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The score at x of a certain x_0, `denoised` backwards: (alpha x_0 - x) / sigma^2."""
        return (self.alpha(t) * x0 - x) / self.sigma(t).square()

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
                f"use a time inside, such as {self.T / 2}"
            )

    def fraction(self, t: Tensor) -> Tensor:
        """The part of a whole run, from T, that a run from t is, in [0, 1]: t / T."""
        return t / self.T

    def training_time(self, u: Tensor) -> Tensor:
        """Map u uniform in [0, 1) to a training time: uniform in [t_train, T]."""
        return self.t_train + (self.T - self.t_train) * u

    def network_time(self, t: Tensor) -> Tensor:
        """Time label of a network trained on this process: 999 t (score_sde models/utils.py)."""
        return t * 999


class VariancePreserving(SDE):
    """alpha^2 + sigma^2 = 1, given by log alpha and beta = -2 d log alpha / dt (Song 2021)."""

    def log_alpha(self, t: Tensor) -> Tensor:
        """log alpha(t), at most 0."""
        raise NotImplementedError

    def beta(self, t: Tensor) -> Tensor:
        """The rate of noise, -2 d log alpha / dt."""
        raise NotImplementedError

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


class VarianceExploding(SDE):
    """alpha = 1: noise is added to an unscaled image (Song 2021)."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def drift(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def transition(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        before, after = self.sigma(s), self.sigma(t)
        variance = (after - before) * (after + before)
        return torch.ones_like(variance), variance.clamp(min=0).sqrt()


def _derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    with torch.enable_grad():
        u = t.detach().requires_grad_()
        value = function(u) + 0 * u  # a constant has a derivative, too
        return torch.autograd.grad(value.sum(), u)[0]
