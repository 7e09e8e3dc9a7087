"""Inpainting and colourisation by predictor and corrector (Song 2021, arXiv 2011.13456)."""

from __future__ import annotations

from egsde.constraints import DataConsistency, KeepKnown
from egsde.linear.operators import Grey
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score


def inpaint(
    score: Score,
    sampler: Sampler,
    old_time: bool = False,
    clip: bool = True,
) -> Diffusion:
    """Inpainting by predictor and corrector (Song 2021, App. I.2): pixels where cond mask is 1 are
    known, imposed after each of the two.

    score_sde's code has old_time=True, corrector_first=True and 2000 steps. clip: denoised
    images stay in [-1, 1].
    """
    score = Clipped(score) if clip else score
    constraint = KeepKnown(old_time)
    return Diffusion(score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def colourise(
    score: Score,
    sampler: Sampler,
    old_time: bool = False,
    clip: bool = True,
) -> Diffusion:
    """Colourisation by predictor and corrector (Song 2021, App. I.3): the source's grey axis is
    known, the two orthogonal axes of colour are drawn. clip: as in `inpaint`."""
    score = Clipped(score) if clip else score
    constraint = DataConsistency(Grey(), old_time)
    return Diffusion(score, sampler, constraint=constraint, start=prior, source_noise="fresh")
