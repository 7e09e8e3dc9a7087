"""FreeDoM (Yu 2023, arXiv 2303.09833): a step down, then a step along an energy of the denoised.

x_s = step(x_t) - scale alpha(t) grad_{x_t} E(x0-hat(x_t)), the gradient through the network, and
some steps walked several times (time travel). The learning rate scale sqrt(alpha-bar_t) is the
official code's. DPS puts the same gradient into the score, where a step weighs it by its own size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.energies import Energy
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.repeats import Repeats
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score, process_of
from egsde.sde import SDE
from egsde.solvers import TimeTravel
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class Slope:
    """The score, which leaves with the source the pull that `Pull` takes after the step: both are
    of one evaluation of the network. Of a step with several, the last one's counts."""

    score: Score
    energy: Energy
    scale: float = 1.0

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        sde = self.sde
        with torch.enable_grad():
            seen = y.detach().requires_grad_()
            score = self.score(seen, t, source)
            clean = torch.full_like(t, sde.t_noisy)
            value = self.energy(sde.denoised(seen, t, score).to(y.dtype), clean, source).sum()
            (slope,) = torch.autograd.grad(value, seen)
        source.lasting[id(self)] = (self.scale * sde.alpha(t) * slope).to(y.dtype)
        return score.detach()


@dataclass(frozen=True, eq=False)
class Pull:
    """(y, t, source) -> y - what `slope` has left; where nothing was asked of it, y."""

    slope: Slope

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        pull = source.lasting.pop(id(self.slope), None)
        return y if pull is None else y - pull


def freedom(
    score: Score,
    sampler: Sampler,
    energy: Energy,
    scale: float = 1.0,
    travels: int = 1,
    low: float = 0.3,
    high: float = 0.7,
    clip: bool = True,
) -> Diffusion:
    """FreeDoM (Yu 2023): from noise alone. scale: of the learning rate scale sqrt(alpha-bar_t).
    travels: how often the steps from t in (low, high], shares of T, are walked; 1: once, as the
    others. clip: denoised images stay in [-1, 1]."""
    slope = Slope(Clipped(score) if clip else score, energy, scale)
    walked = replace(
        sampler,
        solver=TimeTravel(sampler.solver),
        grid=Repeats(sampler.grid, travels, low, high),
    )
    return Diffusion(slope, walked, constraint=Pull(slope), start=prior)
