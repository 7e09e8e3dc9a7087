"""A translation in one or two evaluations: the flow map that was learned from a teacher's walks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from egsde.noise import Noise
from egsde.scores.flow_map import FlowMap
from egsde.source import Source


@dataclass(frozen=True)
class Student:
    """From the noised source, as its teacher with the same key, in `evaluations` maps to the end.

    evaluations: 1, from the start straight to the end, or one for each segment that it learned.
    ValueError for another number.
    """

    score: FlowMap
    evaluations: int = 2

    def __post_init__(self) -> None:
        segments = len(self.score.times) - 1
        if self.evaluations not in (1, segments):
            known = "1" if segments == 1 else f"1 or {segments}"
            raise ValueError(
                f"this student learned to translate in {known} evaluations, got "
                f"translator.evaluations={self.evaluations}"
            )

    @property
    def steps(self) -> int:
        return self.evaluations

    @property
    def times(self) -> Tensor:
        """float64 (evaluations + 1,), from the start to the end."""
        every = self.score.times
        chosen = every if self.evaluations > 1 else [every[0], every[-1]]
        return torch.tensor(chosen, dtype=torch.float64)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        *_, (_, _, y) = self.trajectory(x0, noise, **cond)
        return y

    @torch.no_grad()
    def trajectory(
        self, x0: Tensor, noise: Noise, **cond: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t, y) of every state."""
        times = self.times
        y = Source(x0, self.score.sde, noise.child(0)).start(times[0])
        yield 0, times[0], y
        for i, (t, s) in enumerate(pairwise(times), 1):
            y = self.score(y, t, s, x0)
            yield i, s, y


def student(score: FlowMap, evaluations: int = 2) -> Student:
    """What a deterministic teacher does, in two evaluations or one (`train.py model=student`)."""
    return Student(score, evaluations)
