"""ILVR (Choi 2021, arXiv 2108.02938): the source's low frequencies, imposed after each step."""

from __future__ import annotations

from dataclasses import replace

from egsde.constraints import MatchLowPass
from egsde.linear.filters import LowPass, cubic
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped, LearnedV
from egsde.scores.process import Score
from egsde.solvers import LearnedVariance


def ilvr(
    score: Score,
    sampler: Sampler,
    low_pass: LowPass = LowPass(32, cubic),  # noqa: B008 (frozen)
    until: float = 0.0,
    old_time: bool = False,
    clip: bool = True,
    learned_variance: bool = False,
) -> Diffusion:
    """ILVR (Choi 2021): from noise alone, the source's low frequencies imposed after each step.

    until: only while the time is at least this. The official code (ilvr_adm) has until=0.2,
    old_time=True, learned_variance=True and 100 respaced steps. clip: denoised images stay
    in [-1, 1]; learned_variance: the network's own noise takes the solver's place.
    """
    if learned_variance:
        score = both = LearnedV(score)  # type: ignore[arg-type]
        sampler = replace(sampler, solver=LearnedVariance(both.learned_v))
    score = Clipped(score) if clip else score
    constraint = MatchLowPass(low_pass, until, old_time)
    return Diffusion(score, sampler, constraint=constraint, start=prior, source_noise="fresh")
