"""Chains of levels, x_i from x_{i-1}, as tables: DDPM (Ho 2020) and NCSN (Song & Ermon 2019).

Level i is at t = i / levels; level 0 is clean data (alpha 1, sigma 0). Drift and diffusion are
those of the process that a chain samples: g^2 = levels times the variance that a level adds.
The network takes the index i - 1, as in the official code (EGSDE runners/egsde.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from egsde.sde.base import SDE, VarianceExploding, VariancePreserving
from egsde.sde.tables import geometric_sigmas, linear_betas


class Chain(SDE):
    """A process that has only the times i / levels, i = 0 .. levels."""

    t_min: float = 0.0

    @property
    def table(self) -> Tensor:
        """What defines levels 1 .. levels, (levels,)."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.levels})"

    def level(self, t: Tensor) -> Tensor:
        """Index 0 .. levels, int64; ValueError for a time between two levels."""
        level = (t * self.levels).round()
        if t.device.type == "cpu" and bool(((t * self.levels - level).abs() > 0.01).any()):
            far = (t * self.levels - level).abs().argmax()
            raise ValueError(
                f"t={float(t.flatten()[far])} lies between two levels of {self}, which are at "
                f"i / {self.levels}; snap(t) is the nearest, and continuous processes such as "
                "sde=vp have every time"
            )
        return level.long()

    def look_up(self, table: Tensor, t: Tensor) -> Tensor:
        """Entries of a table of levels 0 .. levels, in the dtype of t."""
        return table.to(t.device)[self.level(t)].to(t.dtype)

    def snap(self, t: Tensor) -> Tensor:
        return (t * self.levels).round() / self.levels

    def time(self, log_snr: Tensor) -> Tensor:
        """The level of nearest log-SNR."""
        noisy = torch.arange(1, self.levels + 1, dtype=torch.float64) / self.levels
        table = self.log_snr(noisy).to(log_snr)
        return noisy.to(log_snr)[(table - log_snr[..., None]).abs().argmin(-1)]

    @property
    def t_noisy(self) -> float:
        return 1 / self.levels

    def check_start(self, start: float) -> None:
        """ValueError for a start between two levels."""
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


def _check_levels(table: Tensor, chain: str) -> None:
    if table.ndim != 1 or not len(table):
        raise ValueError(
            f"{chain} needs a table of shape (levels,) with one level or more, got "
            f"{tuple(table.shape)}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class DDPM(Chain, VariancePreserving):
    """q(x_i | x_{i-1}) = N(sqrt(1 - beta_i) x_{i-1}, beta_i) (Ho 2020).

    betas: (levels,) in (0, 1]. ValueError for others.
    """

    betas: Tensor = field(default_factory=linear_betas)

    def __post_init__(self) -> None:
        betas = self.betas
        _check_levels(betas, "DDPM")
        if not bool(((betas > 0) & (betas <= 1)).all()):
            raise ValueError(
                f"DDPM needs betas of shape (levels,) in (0, 1], got {tuple(betas.shape)} in "
                f"[{float(betas.min())}, {float(betas.max())}]"
            )

    @property
    def table(self) -> Tensor:
        return self.betas

    @cached_property
    def _log_alpha(self) -> Tensor:
        log_alpha = 0.5 * torch.log1p(-self.betas.double()).cumsum(0)
        return torch.cat([log_alpha.new_zeros(1), log_alpha])

    @cached_property
    def _beta(self) -> Tensor:  # level 0 borrows the first: the process is continuous there
        return self.levels * torch.cat([self.betas[:1], self.betas]).double()

    def log_alpha(self, t: Tensor) -> Tensor:
        return self.look_up(self._log_alpha, t)

    def beta(self, t: Tensor) -> Tensor:
        return self.look_up(self._beta, t)


@dataclass(frozen=True, eq=False, repr=False)
class NCSN(Chain, VarianceExploding):
    """q(x_i | x_{i-1}) = N(x_{i-1}, sigma_i^2 - sigma_{i-1}^2) (Song 2021, eq. 20).

    sigmas: (levels,), rising, above 0; sigma_0 = 0. VE is the limit of many geometric levels.
    ValueError for others.
    """

    sigmas: Tensor = field(default_factory=geometric_sigmas)

    def __post_init__(self) -> None:
        sigmas = self.sigmas
        _check_levels(sigmas, "NCSN")
        if not bool((sigmas > 0).all() and (sigmas.diff() > 0).all()):
            raise ValueError(
                f"NCSN needs rising sigmas of shape (levels,) above 0, got {tuple(sigmas.shape)} "
                f"from {float(sigmas.flatten()[0])} to {float(sigmas.flatten()[-1])}"
            )

    @property
    def table(self) -> Tensor:
        return self.sigmas

    @cached_property
    def _sigma(self) -> Tensor:
        return torch.cat([self.sigmas.new_zeros(1), self.sigmas]).double()

    @cached_property
    def _diffusion(self) -> Tensor:  # level 0 borrows the first
        g = (self.levels * self._sigma.square().diff()).sqrt()
        return torch.cat([g[:1], g])

    def sigma(self, t: Tensor) -> Tensor:
        return self.look_up(self._sigma, t)

    def diffusion(self, t: Tensor) -> Tensor:
        return self.look_up(self._diffusion, t)
