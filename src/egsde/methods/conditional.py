"""Methods whose score was trained on pairs: the source is the network's condition."""

from __future__ import annotations

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
