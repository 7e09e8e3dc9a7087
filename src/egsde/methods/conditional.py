"""Methods whose score was trained on pairs: the source is the network's condition."""

from __future__ import annotations

from egsde.average import Mean
from egsde.constraints import ShowKnown
from egsde.sampler import Sampler
from egsde.score_decorators import Clipped
from egsde.scores import Score
from egsde.sde import SDE
from egsde.translators import Diffusion, prior


def paired(sde: SDE, score: Score, sampler: Sampler, clip: bool = True) -> Diffusion:
    """Paired translation: p(y | x) from noise alone (Batzolis 2021; Palette, Saharia 2022).

    score: a ConditionalScore. clip: denoised images stay in [-1, 1], as in `generate`.
    """
    return Diffusion(sde, Clipped(score, sde) if clip else score, sampler, start=prior)


def palette(
    sde: SDE, score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> Diffusion | Mean:
    """Palette (Saharia 2022): restoration from noise alone, one network for all its degradations.

    score: a ConditionalScore with masked=True; pixels where cond mask is 1 are known and end
    exactly the source's. samples: the mean of so many results, a better guess than one of them.
    """
    score = Clipped(score, sde) if clip else score
    restored = Diffusion(sde, score, sampler, constraint=ShowKnown(), start=prior)
    return restored if samples == 1 else Mean(restored, samples)


def sr3(
    sde: SDE, score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> Diffusion | Mean:
    """SR3 (Saharia 2021): super-resolution from noise alone; the source is the small picture,
    enlarged. Several in a row are a `Cascade`. samples: as in `palette`."""
    enlarged = paired(sde, score, sampler, clip)
    return enlarged if samples == 1 else Mean(enlarged, samples)
