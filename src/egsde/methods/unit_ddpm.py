"""Two domains sampled side by side: UNIT-DDPM's inference (Sasaki 2021, algorithm 2).

The state is (x_t, y_t) along channels. Above the release time x_t is the source on its way through
the noise; below it, x_t is denoised like y_t, each under the score given the other:

    s_y = s(y_t | x_t),    s_x = (alpha x_0 - x_t) / sigma^2  if t > release,  else s(x_t | y_t)

The first s_x is the score of a certain x_0: every solver then keeps x_t on a path of the forward
process that ends in the source, and multistep solvers have a true history at the release.

p(y_t | x_t) is not p(y_t | x_0): even with exact scores y depends less on x than it should. On
Gaussian pairs of correlation 0.8 and release = 0, samples have 0.56 with ancestral steps and 0.39
with DDIM, whose x_t has the same noise at all times.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.methods.diffusion import Diffusion, Translator, steps_of
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score, one_process
from egsde.sde import SDE
from egsde.source import Source


@dataclass(frozen=True)
class Released:
    """The score of (x_t, y_t), (B, 2 C, H, W). release: the share of the process, in [0, 1], below
    which the source is let go: 0 keeps it, 1 samples pairs that know no source. ValueError
    outside."""

    score: ConditionalScore
    partner: ConditionalScore
    release: float

    def __post_init__(self) -> None:
        if not 0 <= self.release <= 1:
            raise ValueError(f"release is a share of the process in [0, 1], got {self.release}")

    @property
    def sde(self) -> SDE:
        return self.score.sde

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        x, y = y.chunk(2, dim=1)
        s_y = self.score.given(x).score(y, t)
        if float(self.sde.fraction(t)) > self.release:
            x0 = source.x0.chunk(2, dim=1)[0]
            s_x = self.sde.score_of(x0, x, t).to(x.dtype)
        else:
            s_x = self.partner.given(y).score(x, t)
        return torch.cat([s_x, s_y], dim=1)


@dataclass(frozen=True)
class JointTranslator:
    """x0 -> the second half of `inner`'s result for (x0, 0), from the noised x0 and noise."""

    inner: Translator

    @property
    def steps(self) -> int:
        return steps_of(self.inner)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        both = torch.cat([x0, torch.zeros_like(x0)], dim=1)
        return self.inner(both, noise, **cond).chunk(2, dim=1)[1]


def unit_ddpm(
    score: ConditionalScore,
    sampler: Sampler,
    partner: ConditionalScore,
    release: float = 0.1,
    clip: bool = True,
) -> JointTranslator:
    """UNIT-DDPM (Sasaki 2021): p(y_t | x_t) with the noised source as x_t, and from `release` on,
    a share of the process, with an x_t that `partner`, the score of x_t given y_t, denoises."""
    one_process(score, partner)
    both: Score = Released(score, partner, release)
    return JointTranslator(Diffusion(Clipped(both) if clip else both, sampler))
