"""Tables of chains: beta_i of DDPM and sigma_i of NCSN for the levels i = 1 .. levels, float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """beta_i evenly spaced from start to end, (levels,) (Ho 2020); both in (0, 1]."""
    return torch.linspace(start, end, levels, dtype=torch.float64)


def quad_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """sqrt(beta_i) evenly spaced, (levels,) ("quad" of Ho 2020's code)."""
    return torch.linspace(start**0.5, end**0.5, levels, dtype=torch.float64).square()


def const_betas(levels: int = 1000, value: float = 0.02) -> Tensor:
    """beta_i = value, (levels,) ("const" of Ho 2020's code)."""
    return torch.full((levels,), value, dtype=torch.float64)


def jsd_betas(levels: int = 1000) -> Tensor:
    """beta_i = 1 / (levels - i + 1): alpha^2 falls linearly to zero (Sohl-Dickstein 2015)."""
    return 1.0 / torch.linspace(levels, 1, levels, dtype=torch.float64)


def sigmoid_betas(levels: int = 1000, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """start + (end - start) sigmoid(u_i), u_i even in [-6, 6], (levels,) (the code of DDIM)."""
    ramp = torch.linspace(-6, 6, levels, dtype=torch.float64).sigmoid()
    return start + (end - start) * ramp


def warmup_betas(
    levels: int = 1000, start: float = 1e-4, end: float = 0.02, share: float = 0.1
) -> Tensor:
    """Evenly spaced for the first int(share levels), then `end` (Ho 2020's code: warmup10).

    ValueError unless share is in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"warmup_betas needs a share of the levels in [0, 1], got {share}")
    betas, rising = const_betas(levels, end), int(levels * share)
    betas[:rising] = linear_betas(rising, start, end)
    return betas


def cosine_betas(levels: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """beta_i = 1 - abar_i / abar_(i-1), abar = cos^2((t + offset) / (1 + offset) pi / 2).

    Nichol 2021, eq. 17; largest: their cap of beta_i near t = 1.
    """
    t = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    alpha_bar = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=largest)


def geometric_sigmas(levels: int = 1000, smallest: float = 0.01, largest: float = 50.0) -> Tensor:
    """log(sigma_i) evenly spaced (Song 2021); 10 levels from 0.01 to 1 are NCSNv1's (Song 2019).

    ValueError for ends that are not above 0."""
    if not (smallest > 0 and largest > 0):
        raise ValueError(f"sigmas are above 0, got smallest={smallest} and largest={largest}")
    ends = math.log(smallest), math.log(largest)
    return torch.linspace(*ends, levels, dtype=torch.float64).exp()


def ratio_betas(levels: int = 4, smallest: float = 0.05, largest: float = 5.0) -> Tensor:
    """beta_i whose levels have log(sigma_i / alpha_i) evenly spaced, (levels,): few steps that each
    take away the same share of the noise. ValueError for ends that are not above 0 and rising."""
    if not 0 < smallest < largest:
        raise ValueError(f"ratio_betas needs 0 < smallest < largest, got {smallest} and {largest}")
    ends = math.log(smallest), math.log(largest)
    ratios = torch.linspace(*ends, levels, dtype=torch.float64).exp()
    alpha_bar = torch.cat([ratios.new_ones(1), 1 / (1 + ratios.square())])
    return 1 - alpha_bar[1:] / alpha_bar[:-1]


def vp_betas(
    levels: int = 4, smallest: float = 0.1, largest: float = 20.0, first: float = 1e-3
) -> Tensor:
    """A VP process at few even times: beta_i = 1 - alpha^2(t_i) / alpha^2(t_(i-1)), t_0 = first
    (Xiao 2022, the denoising diffusion GAN)."""
    t = first + (1 - first) * torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    log_alpha = -0.25 * t.square() * (largest - smallest) - 0.5 * t * smallest
    return -torch.expm1(2 * log_alpha.diff())
