"""The variational bound as a loss: one random term of its sum, in bits per dimension.

    L_s = KL( q(x_s | x_t, x_0) || N(mean, variance) ),    L_0 = -log p(x_0 | x_t) at s = 0
with mean that of q(x_s | x_t, x_0 hat) and a learned variance (Ho 2020, eq. 5; Nichol 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from egsde.evaluation.likelihood.terms import Discretised, gaussian_kl, posterior
from egsde.scores import ScoreModel
from egsde.sde import SDE


def log_variances(sde: SDE, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the smallest and the largest variance of a step from t to s (Ho 2020).

    std^2 sigma_s^2 / sigma_t^2 of q(x_s | x_t, x_0), and std^2 of q(x_t | x_s). Into clean data
    the first is zero and that of the step before stands in (guided-diffusion).
    """
    largest = sde.transition(s, t)[1].square().log()
    clean = sde.sigma(s) == 0
    t, s = torch.where(clean, 2 * t, t), torch.where(clean, t, s)
    std = sde.transition(s, t)[1]
    return 2 * (std * sde.sigma(s) / sde.sigma(t)).log(), largest


def learned_log_variance(sde: SDE, t: Tensor, s: Tensor, second: Tensor) -> Tensor:
    """v log largest + (1 - v) log smallest (Nichol 2021, eq. 15) from channels 2 v - 1.

    The smallest where there are no such channels.
    """
    smallest, largest = log_variances(sde, t, s)
    if not second.shape[1]:
        return smallest
    v = (second + 1) / 2
    return v * largest + (1 - v) * smallest


def variational_terms(
    sde: SDE,
    x0: Tensor,
    x: Tensor,
    times: tuple[Tensor, Tensor],
    x0_hat: Tensor,
    log_variance: Tensor,
    *,
    decoder: Discretised = Discretised(),  # noqa: B008 (frozen)
) -> Tensor:
    """The term of the step times = (t, s) for each image, bits per dimension, (B,).

    x (B, C, H, W) at time t, both times (B, 1, 1, 1); x0_hat: the model's clean image;
    log_variance of its step, broadcastable.
    """
    t, s = times
    true, _ = posterior(sde, x0, x, times)
    mean, _ = posterior(sde, x0_hat, x, times)
    std, own = ((0.5 * log).exp() for log in (log_variance, log_variances(sde, t, s)[0]))
    divergence = gaussian_kl(true, own, mean, std).flatten(1).sum(1)
    decoded = -decoder.log_prob(x0, mean, std)
    nats = torch.where(sde.sigma(s).flatten() == 0, decoded, divergence)
    return (nats / (x0[0].numel() * math.log(2))).to(x0.dtype)


def step_at(sde: SDE, t: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The step (t, s) of the grid of `steps` equal ones over [0, T] that contains t.

    ValueError where the process has no such steps, or does not start at clean data.
    """
    _check_steps(sde, steps)
    index = (t / sde.T * steps - 1e-6).ceil().clamp(1, steps)
    return index * (sde.T / steps), (index - 1) * (sde.T / steps)


@lru_cache(maxsize=8)
def _check_steps(sde: SDE, steps: int) -> None:
    times = torch.arange(steps + 1, dtype=torch.float64) * (sde.T / steps)
    if float(sde.sigma(times[0])) > 0 or not torch.allclose(sde.snap(times), times):
        raise ValueError(
            f"no variational bound of {steps} steps for {sde!r}: it needs a process with sigma = 0 "
            "at t = 0, and for a chain as many steps as it has levels"
        )


@dataclass(frozen=True)
class VariationalLoss:
    """steps L_s: an estimate of the whole sum but the constant L_T (Nichol 2021, L_vlb).

    The variance is the posterior's, or exp(v log largest + (1 - v) log smallest) where the network
    has a second half of channels with 2 v - 1 (`learn_sigma`). mean_gradient: whether the mean
    learns, too. steps: those of the bound; for a chain, its levels.
    """

    steps: int = 1000
    mean_gradient: bool = True

    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        t, _ = step_at(score.sde, t, self.steps)
        x = score.sde.perturb(x0, t, eps)
        return self.of_output(score, score.outputs(x, t), x0, x, t)

    def of_output(
        self, score: ScoreModel, outputs: Tensor, x0: Tensor, x: Tensor, t: Tensor
    ) -> Tensor:
        """The same from all channels that the network has returned at x_t."""
        sde = score.sde
        t, s = step_at(sde, t, self.steps)
        output = outputs[:, : x.shape[1]]
        if not self.mean_gradient:
            output = output.detach()
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        slope = score.prediction.score(output, x, alpha, sigma)
        x0_hat = (x + sigma.square() * slope) / alpha
        log_variance = learned_log_variance(sde, t, s, outputs[:, x.shape[1] :])
        return self.steps * variational_terms(sde, x0, x, (t, s), x0_hat, log_variance)
