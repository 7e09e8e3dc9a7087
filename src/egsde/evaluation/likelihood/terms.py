"""Terms of the variational bound, in nats per image (Ho 2020, eq. 5; Sohl-Dickstein 2015).

-log p(x_0) <= KL(q(x_T | x_0) || prior) + sum KL(q(x_s | x_t, x_0) || p(x_s | x_t)) - log p(x_0 | x_t')
with t' the last noisy time. Images are (B, C, H, W); means and standard deviations broadcast.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from egsde.sde import SDE

Times = tuple[Tensor, Tensor]  # (t, s), s < t


def gaussian_kl(mean: Tensor, std: Tensor, other_mean: Tensor, other_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(other_mean, other_std^2)) of every pixel."""
    ratio = (std / other_std).square()
    return 0.5 * (ratio - 1 - ratio.log() + ((mean - other_mean) / other_std).square())


def posterior(sde: SDE, x0: Tensor, x_t: Tensor, times: Times) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of q(x_s | x_t, x_0), sigma(s) > 0 (Ho 2020, eq. 7)."""
    t, s = times
    a, std = sde.transition(s, t)
    from_noisy = a * (sde.sigma(s) / sde.sigma(t)).square()
    from_clean = sde.alpha(s) * (std / sde.sigma(t)).square()
    return from_noisy * x_t + from_clean * x0, std * sde.sigma(s) / sde.sigma(t)


def step_kl(
    sde: SDE, x0: Tensor, x_t: Tensor, times: Times, model: tuple[Tensor, Tensor]
) -> Tensor:
    """KL(q(x_s | x_t, x_0) || N(*model)), (B,): L_{t-1} of Ho 2020; model is (mean, std)."""
    return gaussian_kl(*posterior(sde, x0, x_t, times), *model).flatten(1).sum(1)


def prior_kl(sde: SDE, x0: Tensor) -> Tensor:
    """KL(q(x_T | x_0) || N(0, sigma(T)^2)), (B,): L_T of Ho 2020."""
    T = torch.tensor(sde.T, dtype=torch.float64)
    return 0.5 * (sde.alpha(T) / sde.sigma(T) * x0).square().flatten(1).sum(1)


class Decoder(Protocol):
    """log p(x_0 | N(mean, std^2)), (B,) in nats, and how many bits a dimension such nats are."""

    def log_prob(self, x0: Tensor, mean: Tensor, std: Tensor) -> Tensor: ...

    def bits(self, nats: Tensor, dims: int) -> Tensor: ...


@dataclass(frozen=True)
class Density:
    """log N(x_0; mean, std^2), for images whose values are real numbers in [-1, 1]."""

    bins: int = 256

    def log_prob(self, x0: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(B,), nats."""
        z = (x0 - mean) / std
        log_norm = 0.5 * math.log(2 * math.pi) + std.log()
        return -(0.5 * z.square() + log_norm).flatten(1).sum(1)

    def bits(self, nats: Tensor, dims: int) -> Tensor:
        """Bits per dimension of the density of `bins` values spread over [-1, 1]."""
        return bits_per_dim(nats, dims, self.bins)


@dataclass(frozen=True)
class Discretised:
    """log P of the bin of width 2 / (bins - 1) around x_0 in [-1, 1]; the end bins are open.

    Ho 2020, eq. 13. cdf is of the standard normal; the official code has a tanh in its place.
    """

    bins: int = 256
    cdf: Callable[[Tensor], Tensor] = torch.special.ndtr

    def log_prob(self, x0: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(B,), nats; a probability below 1e-12 counts as that."""
        half = 1 / (self.bins - 1)
        below = (x0 - mean - half) / std
        above = (x0 - mean + half) / std
        flip = torch.where(below > 0, -1.0, 1.0)  # the tail that float numbers resolve
        inside = (self.cdf(flip * above) - self.cdf(flip * below)).abs()
        first, last = self.cdf(above), self.cdf(-below)
        p = torch.where(x0 < half - 1, first, torch.where(x0 > 1 - half, last, inside))
        return p.clamp(min=1e-12).log().flatten(1).sum(1)

    def bits(self, nats: Tensor, dims: int) -> Tensor:
        """Bits per dimension of a probability."""
        return nats / (dims * math.log(2))


def bits_per_dim(nats: Tensor, dims: int, bins: int = 256, width: float = 2.0) -> Tensor:
    """-log p in nats of a density over an interval of `width` -> bits a pixel value of `bins`.

    nats / (D ln 2) + log2(bins / width): the offset is 7 for 8-bit images in [-1, 1] and 8 in
    [0, 1] (score_sde likelihood.py).
    """
    return nats / (dims * math.log(2)) + math.log2(bins / width)
