"""Methods whose score was trained on pairs: the source is the network's condition."""

from __future__ import annotations

from egsde.average import Mean
from egsde.conditional import ConditionalScore
from egsde.constraints import ShowKnown
from egsde.hidden import Hidden
from egsde.sampler import Sampler
from egsde.score_decorators import Clipped
from egsde.scores import Score
from egsde.sde import SDE
from egsde.side_by_side import Released, SideBySide
from egsde.translators import Diffusion, noised, prior


def paired(
    sde: SDE, score: Score, sampler: Sampler, clip: bool = True, t_start: float | None = None
) -> Diffusion:
    """Translation by p(y | x) from noise alone (Batzolis 2021; Palette, Saharia 2022).

    score: a ConditionalScore. clip: denoised images stay in [-1, 1], as in `generate`. t_start:
    from the noised source at this time instead, as the partners of a cycle model may be made.
    """
    start = prior if t_start is None else noised
    score = Clipped(score, sde) if clip else score
    return Diffusion(sde, score, sampler, start=start, t_start=t_start)


def palette(
    sde: SDE, score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> Hidden | Mean:
    """Palette (Saharia 2022): restoration from noise alone, one network for all its degradations.

    score: a ConditionalScore with masked=True; pixels where cond mask is 1 are known and end
    exactly the source's; the others are `Hidden`. samples: the mean of so many results, a better
    guess than one of them.
    """
    score = Clipped(score, sde) if clip else score
    restored = Hidden(Diffusion(sde, score, sampler, constraint=ShowKnown(), start=prior))
    return restored if samples == 1 else Mean(restored, samples)


def sr3(
    sde: SDE, score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> Diffusion | Mean:
    """SR3 (Saharia 2021): super-resolution from noise alone; the source is the small picture,
    enlarged. Several in a row are a `Cascade`. samples: as in `palette`."""
    enlarged = paired(sde, score, sampler, clip)
    return enlarged if samples == 1 else Mean(enlarged, samples)


def unit_ddpm(
    sde: SDE,
    score: ConditionalScore,
    partner: ConditionalScore,
    sampler: Sampler,
    release: float = 0.1,
    clip: bool = True,
) -> SideBySide:
    """UNIT-DDPM (Sasaki 2021): p(y_t | x_t) with the noised source as x_t, and from `release` on,
    a share of the process, with an x_t that `partner`, the score of x_t given y_t, denoises."""
    both: Score = Released(score, partner, sde, release)
    return SideBySide(Diffusion(sde, Clipped(both, sde) if clip else both, sampler))
