"""Translation by a score that was trained on pairs: the source is the network's condition."""

from __future__ import annotations

from egsde.methods.diffusion import Diffusion, noised, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score


def paired(
    score: Score, sampler: Sampler, clip: bool = True, t_start: float | None = None
) -> Diffusion:
    """Translation by p(y | x) from noise alone (Batzolis 2021; Palette, Saharia 2022).

    score: a ConditionalScore. clip: denoised images stay in [-1, 1], as in `generate`. t_start:
    from the noised source at this time instead, as the partners of a cycle model may be made.
    """
    start = prior if t_start is None else noised
    score = Clipped(score) if clip else score
    return Diffusion(score, sampler, start=start, t_start=t_start)
