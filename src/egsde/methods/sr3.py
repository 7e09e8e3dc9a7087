"""A cascade of translators, each at its size: the result of one, enlarged, is the next's source.

p(y_n | x) = p(y_1 | U x) p(y_2 | U y_1) ... with U the bicubic resize to a stage's size: SR3's way
from 16 to 1024 pixels (Saharia 2021, section 4.5). The stages are trained apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from egsde.linear.filters import cubic, resize_matrix
from egsde.methods.average import MeanOfSamples
from egsde.methods.diffusion import Diffusion, Translator, steps_of
from egsde.methods.paired import paired
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler
from egsde.scores.process import Score


def resized(x: Tensor, size: int) -> Tensor:
    """(B, C, size, size), bicubic, anti-aliased where it shrinks; x itself at its own size."""
    if x.shape[-2:] == (size, size):
        return x
    rows, columns = (resize_matrix(n, size, cubic).to(x) for n in x.shape[-2:])
    return rows @ x @ columns.T


@dataclass(frozen=True)
class Stage:
    """A translator of images of size x size; clip: its source is kept in [-1, 1]. ValueError for
    a size below 1."""

    translator: Translator
    size: int
    clip: bool = True

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a stage of a cascade needs a size of at least 1, got {self.size}")

    def __call__(self, x: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        x = resized(x, self.size)
        return self.translator(x.clamp(-1, 1) if self.clip else x, noise, **cond)


@dataclass(frozen=True)
class Cascade:
    """stages by name, in their order; ValueError for none.

    The source may have any size: the first stage, too, resizes it to its own.
    """

    stages: Mapping[str, Stage]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("a cascade needs at least one stage, got none")

    @property
    def steps(self) -> int:
        """Those of all stages together."""
        return sum(steps_of(stage.translator) for stage in self.stages.values())

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        y = x0
        for name, stage in self.stages.items():
            y = stage(y, noise.child(name), **cond)
        return y


def sr3(
    score: Score, sampler: Sampler, clip: bool = True, samples: int = 1
) -> Diffusion | MeanOfSamples:
    """SR3 (Saharia 2021): super-resolution from noise alone; the source is the small picture,
    enlarged. Several in a row are a `Cascade`. samples: as in `palette`."""
    enlarged = paired(score, sampler, clip)
    return enlarged if samples == 1 else MeanOfSamples(enlarged, samples)
