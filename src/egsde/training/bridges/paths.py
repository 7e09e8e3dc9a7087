"""Paths: what is between the ends of a pair. (process, y, x, u, eps) -> t, x_t and its "noise".

y is the target's image, at t = 0, x the source's, at T. Whatever a path draws between them, eps is
written such that x_t = alpha y + sigma eps, and a prediction's target follows from (y, eps) as it
does in denoising.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from egsde.sde import SDE


@dataclass(frozen=True)
class Point:
    """t (B, 1, 1, 1), x_t and eps like the images."""

    t: Tensor
    x_t: Tensor
    eps: Tensor


class Path(Protocol):
    """(process, target y, source x, u, noise) -> a point between them; u (B, 1, 1, 1)."""

    def __call__(self, sde: SDE, y: Tensor, x: Tensor, u: Tensor, noise: Tensor) -> Point: ...


@dataclass(frozen=True)
class StraightPath:
    """x_t = alpha y + sigma x (+ blur noise): flow matching and rectified flow, for `Straight`."""

    blur: float = 0.0

    def __call__(self, sde: SDE, y: Tensor, x: Tensor, u: Tensor, noise: Tensor) -> Point:
        t = sde.training_time(u)
        x_t = sde.perturb(y, t, x)
        return Point(t, x_t + self.blur * noise if self.blur else x_t, x)


def pinned(sde: SDE, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(a, b, std) of q(x_t | x_0, x_T) = N(a x_0 + b x_T, std^2) (Zhou 2024, DDBM, eq. 7):

    r = SNR_T / SNR_t, a = alpha_t (1 - r), b = r alpha_t / alpha_T, std^2 = sigma_t^2 (1 - r).
    """
    end = t.new_full((), sde.T)
    alpha, sigma, last, noise = sde.alpha(t), sde.sigma(t), sde.alpha(end), sde.sigma(end)
    r = (last * sigma / (noise * alpha)).square()
    left = (1 - r).clamp(min=0)
    return alpha * left, r * alpha / last, sigma * left.sqrt()


@dataclass(frozen=True)
class Pinned:
    """A process held at both ends: I2SB, DSBM (`Brownian`), DDBM (VP, VE)."""

    def __call__(self, sde: SDE, y: Tensor, x: Tensor, u: Tensor, noise: Tensor) -> Point:
        t = sde.training_time(u)
        a, b, std = pinned(sde, t)
        x_t = a * y + b * x + std * noise
        eps = (x_t - sde.alpha(t) * y) / sde.sigma(t)
        return Point(t, x_t.to(y.dtype), eps.to(y.dtype))
