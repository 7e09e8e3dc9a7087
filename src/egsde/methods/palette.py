"""Palette's condition (Saharia 2022): the known pixels, and noise in place of the hidden ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egsde.constraints import ShowKnown
from egsde.linear.operators import known_pixels
from egsde.methods.average import MeanOfSamples
from egsde.methods.diffusion import Diffusion, Translator, prior, steps_of
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score


@dataclass(frozen=True)
class NoiseInHoles:
    """`inner` of x0 with noise where cond mask is 0, as its network was trained.

    An image with no known pixel stays as it is: grey, or saved as JPEG, it is the condition.
    ValueError without a mask.
    """

    reads: ClassVar = ("mask",)

    inner: Translator

    @property
    def steps(self) -> int:
        return steps_of(self.inner)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        known = known_pixels(cond.get("mask"), x0) > 0
        shown = known | ~known.any((1, 2, 3), keepdim=True)
        return self.inner(torch.where(shown, x0, noise.stream("hidden")(x0)), noise, **cond)


def palette(
    score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> NoiseInHoles | MeanOfSamples:
    """Palette (Saharia 2022): restoration from noise alone, one network for all its degradations.

    score: a ConditionalScore with masked=True; pixels where cond mask is 1 are known and end
    exactly the source's; the others are noise, as its network was trained. samples: the mean of so
    many results, a better guess than one of them.
    """
    score = Clipped(score) if clip else score
    restored = NoiseInHoles(Diffusion(score, sampler, constraint=ShowKnown(), start=prior))
    return restored if samples == 1 else MeanOfSamples(restored, samples)
