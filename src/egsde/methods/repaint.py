"""RePaint (Lugmayr 2022, arXiv 2201.09865): known pixels, and times that jump back."""

from __future__ import annotations

from dataclasses import replace

from egsde.constraints import KeepKnown
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.jumps import Jumps
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score
from egsde.solvers import TimeTravel


def repaint(
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
    score = Clipped(score) if clip else score
    return Diffusion(score, jumping, constraint=KeepKnown(), start=prior, source_noise="fresh")
