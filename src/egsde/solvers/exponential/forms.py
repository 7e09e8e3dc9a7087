"""Exponential integrators in lambda = log(alpha / sigma): the linear part is solved exactly.

    x_s = scale x_t + gain int_0^z e^(u - z) m du + std noise,     z = k (lambda_s - lambda_t)

m is the denoised image (`DenoisedForm`: gain alpha_s, k = 1 + tau^2) or the predicted noise
(`NoiseForm`: gain sigma_s, k = -1), replaced by the polynomial through known values (lambda_j,
m_j). The integral is then sum_j w_j m_j; at nodes r_j = (lambda_j - lambda_t) / (lambda_s -
lambda_t) the weights solve sum_j w_j r_j^n = moment n, n! psi_n(z) when exact (Lu 2022, arXiv
2211.01095; Xue 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from egsde.sde import SDE
from egsde.sde.reverse import Reverse

Moments = Callable[[Tensor, int], list[Tensor]]  # (z, number of nodes) -> that many moments


class Point(NamedTuple):
    """A known value of m, like x, at lambda, 0-d."""

    log_snr: Tensor
    value: Tensor


class Coefficients(NamedTuple):
    """Of one step: x_s = scale x_t + gain sum_j w_j m_j + std noise."""

    scale: Tensor
    gain: Tensor
    h: Tensor  # lambda_s - lambda_t
    z: Tensor
    std: Tensor


class Variable(Protocol):
    """What the polynomial interpolates and a step is made of: `DenoisedForm`, `NoiseForm`."""

    def value(self, reverse: Reverse, x: Tensor, t: Tensor) -> Tensor:
        """m at (x, t), like x."""
        ...

    def coefficients(self, sde: SDE, t: Tensor, s: Tensor) -> Coefficients:
        """Those of a step from t to s."""
        ...

    def clean(self, sde: SDE, x: Tensor, t: Tensor, s: Tensor, value: Tensor) -> Tensor:
        """x_s for s = 0, where lambda is infinite; value: m at t."""
        ...


@dataclass(frozen=True)
class DenoisedForm:
    """Denoised images. tau: amount of noise; 0 the probability-flow ODE, 1 the reverse SDE."""

    tau: float = 0.0

    def value(self, reverse: Reverse, x: Tensor, t: Tensor) -> Tensor:
        return reverse.x0(x, t)

    def coefficients(self, sde: SDE, t: Tensor, s: Tensor) -> Coefficients:
        h, more = sde.log_snr(s) - sde.log_snr(t), self.tau**2
        scale = sde.sigma(s) / sde.sigma(t) * (-more * h).exp()
        std = sde.sigma(s) * (-torch.expm1(-2 * more * h)).clamp(min=0).sqrt()
        return Coefficients(scale, sde.alpha(s), h, (1 + more) * h, std)

    def clean(self, sde: SDE, x: Tensor, t: Tensor, s: Tensor, value: Tensor) -> Tensor:
        return sde.alpha(s) * value


@dataclass(frozen=True)
class NoiseForm:
    """Predicted noises eps = -sigma score: gain sigma_s, z = -h; the probability-flow ODE alone."""

    def value(self, reverse: Reverse, x: Tensor, t: Tensor) -> Tensor:
        return reverse.eps(x, t)

    def coefficients(self, sde: SDE, t: Tensor, s: Tensor) -> Coefficients:
        h = sde.log_snr(s) - sde.log_snr(t)
        quiet = torch.zeros_like(h)
        return Coefficients(sde.alpha(s) / sde.alpha(t), sde.sigma(s), h, -h, quiet)

    def clean(self, sde: SDE, x: Tensor, t: Tensor, s: Tensor, value: Tensor) -> Tensor:
        return sde.alpha(s) / sde.alpha(t) * (x - sde.sigma(t) * value)


def psi(z: Tensor, count: int) -> list[Tensor]:
    """psi_n(z) = int_0^z e^(u - z) (u / z)^n / n! du: 1 - e^-z, then 1/n! - psi_(n-1) / z."""
    values = [-torch.expm1(-z)]
    for n in range(1, count):
        values.append(1 / math.factorial(n) - values[-1] / z)
    return values


def adams(z: Tensor, count: int) -> list[Tensor]:
    """The exact n! psi_n: exponential Adams methods, order `count` by interpolation."""
    return [math.factorial(n) * value for n, value in enumerate(psi(z, count))]


def bh1(z: Tensor, count: int) -> list[Tensor]:
    """UniPC's B1(h) = h: of two nodes the second moment is z / 2; exact for more."""
    return [psi(z, 1)[0], z / 2] if count == 2 else adams(z, count)


def bh2(z: Tensor, count: int) -> list[Tensor]:
    """UniPC's B2(h) = e^h - 1: of two nodes the second moment is psi_0 / 2; exact for more."""
    first = psi(z, 1)[0]
    return [first, first / 2] if count == 2 else adams(z, count)


def dpm(z: Tensor, count: int) -> list[Tensor]:
    """DPM-Solver's official code: `bh2`, but of three nodes psi_2 where 2 psi_2 is exact.

    That third moment leaves a local error of order 3: three nodes then have order 2, not 3.
    """
    return psi(z, count) if count == 3 else bh2(z, count)


def weighted(points: Sequence[Point], h: Tensor, moments: list[Tensor]) -> Tensor:
    """sum_j w_j m_j with sum_j w_j r_j^n = moment n; points[0] is where the step begins, r = 0."""
    nodes = torch.stack([(point.log_snr - points[0].log_snr) / h for point in points])
    powers = torch.stack([nodes**n for n in range(len(points))])
    weights = torch.linalg.solve(powers, torch.stack(moments))
    total = weights[0] * points[0].value
    for weight, point in zip(weights[1:], points[1:], strict=True):
        total = total + weight * point.value
    return total
