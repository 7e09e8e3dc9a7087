"""Denoising score matching: E lambda(t) || s(x_t, t) + eps / sigma ||^2 (Song 2021, eq. 7).

lambda = sigma^2 weights all noise levels alike; lambda = g^2 bounds the negative log-likelihood
(Song 2021, arXiv 2101.09258).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from egsde.scores import ScoreModel
from egsde.sde import SDE

Weighting = Callable[[SDE, Tensor], Tensor]  # (sde, t) -> lambda, like t


def sigma_squared(sde: SDE, t: Tensor) -> Tensor:
    """sigma^2."""
    return sde.sigma(t).square()


def likelihood(sde: SDE, t: Tensor) -> Tensor:
    """g^2."""
    return sde.diffusion(t).square()


def reweighted(sde: SDE, t: Tensor) -> Tensor:
    """g^2 sigma^2: g^2 in the error of the noise (Vahdat 2021, w_re)."""
    return likelihood(sde, t) * sigma_squared(sde, t)


@dataclass(frozen=True)
class DenoisingScoreMatching:
    """mean: over an image's elements; else half the sum (score_sde losses.py, `reduce_mean`).

    Half the sum with sigma^2 at the levels of `NCSN` is the objective of Song 2019, eq. 6.
    """

    weighting: Weighting = sigma_squared
    mean: bool = True

    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        sde = score.sde
        sigma = sde.sigma(t)
        residual = sigma * score(sde.perturb(x0, t, eps), t) + eps
        factor = self.weighting(sde, t) / sigma.square()
        losses = (factor * residual.square()).to(x0.dtype).flatten(1)
        return losses.mean(1) if self.mean else 0.5 * losses.sum(1)
