"""Mean squared error of the network's output: E || target - net(x_t, t) ||^2 (Ho 2020, eq. 14).

Which weighting of the score this is, the prediction decides: eps gives sigma^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from egsde.scores import ScoreModel

# (score, x_0 (B, C, H, W), t (B, 1, 1, 1), eps like x_0) -> loss per image (B,); the score is a
# ScoreModel or a conditional one that is given its condition
Objective = Callable[[Any, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Simple:
    """Mean over the elements of each image."""

    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        sde = score.sde
        target = score.prediction.target(x0, eps, sde.alpha(t), sde.sigma(t)).to(x0.dtype)
        error = score.output(sde.perturb(x0, t, eps), t) - target
        return error.square().flatten(1).mean(1)
