"""The mean of several translations of an image: an estimate of E[y | x], not a draw from p(y | x).

A draw's squared error to the truth is on average twice that of E[y | x], 3 dB; the mean of k draws
has 1 + 1/k of it. It is the better guess and the blurrier picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.methods.diffusion import Translator, steps_of
from egsde.noise import Noise


@dataclass(frozen=True)
class MeanOfSamples:
    """`samples` runs of `translator` with noise of their own; ValueError for fewer than one."""

    translator: Translator
    samples: int = 8

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"Mean needs at least one sample, got {self.samples}")

    @property
    def steps(self) -> int:
        """Those of all samples together."""
        return self.samples * steps_of(self.translator)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        draws = (
            self.translator(x0, noise.child(f"sample/{k}"), **cond) for k in range(self.samples)
        )
        first = next(draws)
        return first + sum(y - first for y in draws) / self.samples  # equal draws stay exact
