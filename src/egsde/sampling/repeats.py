"""A time grid some of whose steps are walked several times: time travel (FreeDoM, Yu 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.sampling.grids import Grid, Uniform
from egsde.sde import SDE


@dataclass(frozen=True)
class Repeats:
    """The times of `grid`; a step from t with low < t <= high, as shares of T, is gone back up and
    walked again until it has been walked `times_each` times. A walk for `TimeTravel`.

    ValueError unless times_each is positive and 0 <= low <= high <= 1.
    """

    grid: Grid = Uniform(100)
    times_each: int = 10
    low: float = 0.3
    high: float = 0.7

    def __post_init__(self) -> None:
        if self.times_each < 1 or not 0 <= self.low <= self.high <= 1:
            raise ValueError(
                "time travel needs 1 or more walks and 0 <= low <= high <= 1, got "
                f"{self.times_each}, {self.low} and {self.high}; 1 never goes back"
            )

    def times(self, sde: SDE, start: float) -> Tensor:
        times = self.grid.times(sde, start)
        inside = (times > self.low * sde.T + 1e-9) & (times <= self.high * sde.T + 1e-9)
        walk = [0]
        for k in range(len(times) - 1):
            again = self.times_each - 1 if bool(inside[k]) else 0
            walk += [k + 1, k] * again + [k + 1]
        return times[torch.tensor(walk)]
