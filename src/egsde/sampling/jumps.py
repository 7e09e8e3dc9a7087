"""A time grid that jumps back: RePaint's resampling schedule (Lugmayr 2022, Fig. 9)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.sampling.grids import Grid, Uniform
from egsde.sde import SDE


@dataclass(frozen=True)
class Jumps:
    """The times of `grid`, with jumps: whenever a time 1, 1 + length, 1 + 2 length, ... steps above
    the end is reached, go back up `length` steps and come down again, until every such time has
    been passed `resamples` times. A walk for `TimeTravel`.

    resamples = 1 is the grid itself; 250 steps with length = resamples = 10, the paper's, ask the
    network 2410 times. ValueError unless both are positive; a warning where no jump fits.
    """

    grid: Grid = Uniform(250)
    length: int = 10
    resamples: int = 10

    def __post_init__(self) -> None:
        if self.length < 1 or self.resamples < 1:
            raise ValueError(
                f"Jumps needs a positive length and number of resamples, got {self.length} and "
                f"{self.resamples}; resamples=1 never jumps"
            )

    def times(self, sde: SDE, start: float) -> Tensor:
        times = self.grid.times(sde, start)
        last = len(times) - 1
        if self.resamples > 1 and last <= self.length:
            warnings.warn(
                f"no jump of {self.length} steps fits into the {last} from {start}: none is made; "
                f"use more steps (sampler.grid.steps), or a length of at most {last - 1}",
                stacklevel=2,
            )
        left = dict.fromkeys(range(1, last - self.length + 1, self.length), self.resamples - 1)
        walk, level = [last], last  # levels count steps above the end
        while level > 0:
            level -= 1
            walk.append(level)
            if left.get(level, 0) > 0:
                left[level] -= 1
                walk += range(level + 1, level + self.length + 1)
                level += self.length
        return times[last - torch.tensor(walk)]
