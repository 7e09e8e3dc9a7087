"""Methods that impose what is known of the source after each step."""

from __future__ import annotations

from dataclasses import replace

from egsde.constraints import (
    DataConsistency,
    Estimate,
    KeepKnown,
    MatchLowPass,
    Reference,
    new_time,
)
from egsde.filters import LowPass, cubic
from egsde.jumps import Jumps
from egsde.operators import Box, Grey, Operator
from egsde.sampler import Sampler
from egsde.score_decorators import Clipped, LearnedShare
from egsde.scores import Score
from egsde.sde import SDE
from egsde.solvers import LearnedVariance, TimeTravel
from egsde.translators import Diffusion, prior


def ilvr(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    low_pass: LowPass = LowPass(32, cubic),  # noqa: B008 (frozen)
    until: float = 0.0,
    reference: Reference = new_time,
    clip: bool = True,
    learned_variance: bool = False,
) -> Diffusion:
    """ILVR (Choi 2021): from noise alone, the source's low frequencies imposed after each step.

    until: only while the time is at least this. The official code (ilvr_adm) has until=0.2,
    reference=old_time, learned_variance=True and 100 respaced steps. clip: denoised images stay
    in [-1, 1]; learned_variance: the network's own noise takes the solver's place.
    """
    if learned_variance:
        score = both = LearnedShare(score)  # type: ignore[arg-type]
        sampler = replace(sampler, solver=LearnedVariance(both.share))
    score = Clipped(score, sde) if clip else score
    constraint = MatchLowPass(low_pass, until, reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def ccdf(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    operator: Operator = Box(8),  # noqa: B008 (frozen)
    t_start: float = 0.2,
) -> Diffusion:
    """CCDF (Chung 2022): the first guess behind a linear measurement of the source, noised to a
    late start; the measurement is imposed after each step.

    Super-resolution: Box, inpainting: Pixels, or any `Operator`. The measurement is A x_0, or the
    low-resolution images of the dataset.
    """
    return Diffusion(
        sde,
        score,
        sampler,
        constraint=DataConsistency(operator),
        start=Estimate(operator),
        t_start=t_start,
        source_noise="fresh",
    )


def repaint(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    length: int = 10,
    resamples: int = 10,
    clip: bool = True,
) -> Diffusion:
    """RePaint (Lugmayr 2022): pixels where cond mask is 1 are known; times jump back by `length`
    steps until each stretch has been walked `resamples` times.

    Published: 250 steps, 10 and 10. The known pixels end exactly the source's.
    """
    jumping = replace(
        sampler,
        solver=TimeTravel(sampler.solver),
        grid=Jumps(sampler.grid, length, resamples),
    )
    score = Clipped(score, sde) if clip else score
    return Diffusion(sde, score, jumping, constraint=KeepKnown(), start=prior, source_noise="fresh")


def inpaint(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    reference: Reference = new_time,
    clip: bool = False,
) -> Diffusion:
    """Inpainting by predictor and corrector (Song 2021, App. I.2): pixels where cond mask is 1 are
    known, imposed after each of the two.

    score_sde's code has reference=old_time, corrector_first=True and 2000 steps. clip: denoised
    images stay in [-1, 1].
    """
    score = Clipped(score, sde) if clip else score
    constraint = KeepKnown(reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def colourise(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    reference: Reference = new_time,
    clip: bool = False,
) -> Diffusion:
    """Colourisation by predictor and corrector (Song 2021, App. I.3): the source's grey axis is
    known, the two orthogonal axes of colour are drawn. clip: as in `inpaint`."""
    score = Clipped(score, sde) if clip else score
    constraint = DataConsistency(Grey(), reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")
