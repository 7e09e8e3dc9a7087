"""-log p(z) of a diffusion prior, bounded by one integral over time (LSGM, Vahdat 2021, theorem 1).

    E_q(z_e|z) [-log p(z)] <= D / 2 log(2 pi e sigma_e^2) - D log alpha_e + KL(q(z_T|z) || N(0, sigma_T^2))
        + int_e^T g^2 / (2 sigma^2) E || eps + sigma s(z_t, t) ||^2 dt,    e = t_train

exact on average over the data where s is the score of their marginals and q(z_T) is the prior.
The term of alpha_e, which the paper leaves out, is of the step from z to z_e.
"""  # noqa: E501

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egsde.evaluation.likelihood.terms import prior_kl
from egsde.sde import SDE
from egsde.training.objectives.denoising import Weighting, likelihood


@dataclass(frozen=True)
class CrossEntropy:
    """What of the bound a process alone decides, and what is drawn at a time. ValueError for a
    process with levels, or times that are not uniform."""

    sde: SDE

    def __post_init__(self) -> None:
        ends = torch.tensor([0.0, 0.5, 1 - 1e-9], dtype=torch.float64)
        t = self.sde.training_time(ends)
        even = torch.allclose(t[1] - t[0], t[2] - t[1], rtol=1e-3)
        if self.sde.levels is not None or not even:
            raise ValueError(
                f"a diffusion prior's bound integrates over time, and {self.sde!r} has levels or "
                "no uniform times; use sde=geometric, vp, subvp, cosine_vp or ve"
            )

    def constant(self, z: Tensor) -> Tensor:
        """(B,), nats."""
        e = torch.tensor(self.sde.t_train, dtype=torch.float64)
        alpha, sigma = float(self.sde.alpha(e)), float(self.sde.sigma(e))
        each = 0.5 * math.log(2 * math.pi * math.e * sigma**2) - math.log(alpha)
        return each * z[0].numel() + prior_kl(self.sde, z)

    def rate(self, t: Tensor, weight: Tensor, weighting: Weighting = likelihood) -> Tensor:
        """(B,): times the squared error of the noise, an unbiased estimate of the integral.

        weight: p / q of the time's draw. weighting: `likelihood` for the bound.
        """
        length = self.sde.T - self.sde.t_train
        each = weighting(self.sde, t) / self.sde.sigma(t).square()
        return (0.5 * length * weight * each).flatten()

    def errors(self, score: Any, z_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """|| eps + sigma s(z_t, t) ||^2, (B,)."""
        residual = eps + self.sde.sigma(t) * score.score(z_t, t)
        return residual.square().flatten(1).sum(1)
