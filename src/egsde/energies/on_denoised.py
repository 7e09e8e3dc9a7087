"""An energy of the denoised image: E(x0-hat(y)), x0-hat = (y + sigma^2 score(y, t)) / alpha.

Its gradient flows through the score network (DPS, Chung 2023, arXiv 2209.14687; FreeDoM, Yu 2023,
arXiv 2303.09833) or holds the score fixed (MPGD, He 2024, arXiv 2311.16424). For E quadratic with
Hessian curvature I and data of variance s^2 the exact energy -log E[exp(-E(x_0)) | y] is, up to a
constant, E(x0-hat) / (1 + curvature p), p = s^2 sigma^2 / (alpha^2 s^2 + sigma^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.energies.base import Energy
from egsde.scores import Score
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class OnDenoised(Energy):
    """Evaluates the score once more a step. `energy` sees the smallest noisy time of the process.

    through: differentiate the network, too; without it the gradient is E'(x0-hat) / alpha.
    curvature: Hessian of E (LowPassL2 of weight w: 2 w on what passes); 0 is DPS, whose energy
    ignores the spread p of x_0 given y; s^2 is `data_variance`. ValueError if either is negative.
    """

    energy: Energy
    score: Score
    through: bool = True
    curvature: float = 0.0
    data_variance: float = 1.0

    def __post_init__(self) -> None:
        if self.curvature < 0 or self.data_variance < 0:
            raise ValueError(
                "OnDenoised needs curvature >= 0 and data_variance >= 0, got "
                f"{self.curvature} and {self.data_variance}"
            )

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        sde = source.sde
        alpha, variance = sde.alpha(t), sde.sigma(t).square()
        with torch.set_grad_enabled(self.through and torch.is_grad_enabled()):
            score = self.score(y, t, source)
        clean = torch.full_like(t, sde.t_noisy)
        value = self.energy(sde.denoised(y, t, score), clean, source)
        spread = self.data_variance * variance / (alpha.square() * self.data_variance + variance)
        return value / (1 + self.curvature * spread)
