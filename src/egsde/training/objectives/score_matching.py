"""Score matching without the target: E lambda(t) [tr(ds/dx) + ||s||^2 / 2] / D at x_t.

Explicit (Hyvarinen 2005): the trace by D backward passes. Sliced (Song 2019, arXiv 1905.07088):
v^T (ds/dx) v over random v. Both differ from half of denoising score matching by a constant:
with lambda = sigma^2 by -1/2 per element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.scores import ScoreModel
from egsde.training.objectives.denoising import Weighting, sigma_squared


def rademacher(x: Tensor) -> Tensor:
    """-1 or 1, each with probability 1/2, like x."""
    return torch.randint_like(x, 2) * 2 - 1


def gaussian(x: Tensor) -> Tensor:
    """Standard normal, like x."""
    return torch.randn_like(x)


def _differentiable(score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """x_t, which requires a gradient, and the score there; also inside inference mode."""
    x0, t, eps = x0.clone(), t.clone(), eps.clone()
    x = score.sde.perturb(x0, t, eps).requires_grad_()
    return x, score(x, t).to(x.dtype)


def _gradient(value: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(value.sum(), x, create_graph=True)[0]


def _weighted(score: ScoreModel, weighting: Weighting, t: Tensor, total: Tensor) -> Tensor:
    return (weighting(score.sde, t.clone()).flatten() * total).to(total.dtype)


@dataclass(frozen=True)
class ExplicitScoreMatching:
    """The exact trace: D backward passes, for small D."""

    weighting: Weighting = sigma_squared

    @torch.inference_mode(False)
    @torch.enable_grad()
    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        x, s = _differentiable(score, x0, t, eps)
        flat = s.flatten(1)
        rows = [_gradient(flat[:, i], x).flatten(1)[:, i] for i in range(flat.shape[1])]
        trace = torch.stack(rows).sum(0)
        total = (trace + 0.5 * flat.square().sum(1)) / flat.shape[1]
        return _weighted(score, self.weighting, t, total)


@dataclass(frozen=True)
class SlicedScoreMatching:
    """`draws` projections v per image, `rademacher` or `gaussian`.

    reduced: ||s||^2 exactly (SSM-VR) instead of (v . s)^2. ValueError for fewer than one draw.
    """

    project: Callable[[Tensor], Tensor] = rademacher
    draws: int = 1
    reduced: bool = True
    weighting: Weighting = sigma_squared

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"sliced score matching needs draws of at least 1, got {self.draws}")

    @torch.inference_mode(False)
    @torch.enable_grad()
    def __call__(self, score: ScoreModel, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        x, s = _differentiable(score, x0, t, eps)
        parts = []
        for _ in range(self.draws):
            v = self.project(x.detach())
            along = (v * s).flatten(1).sum(1)  # (B,)
            curvature = (v * _gradient(along, x)).flatten(1).sum(1)
            norm = s.square().flatten(1).sum(1) if self.reduced else along.square()
            parts.append(curvature + 0.5 * norm)
        total = torch.stack(parts).mean(0) / s[0].numel()
        return _weighted(score, self.weighting, t, total)
