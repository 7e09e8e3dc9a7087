"""CCDF (Chung 2022, arXiv 2112.05146): a late start, and a measurement imposed after each step."""

from __future__ import annotations

from egsde.constraints import DataConsistency, Estimate
from egsde.linear.operators import Box, Operator
from egsde.methods.diffusion import Diffusion
from egsde.sampling.sampler import Sampler
from egsde.scores.process import Score


def ccdf(
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
        score,
        sampler,
        constraint=DataConsistency(operator),
        start=Estimate(operator),
        t_start=t_start,
        source_noise="fresh",
    )
