"""Guidance: score - grad E, the score of p(y) exp(-E(y, x_t, t)) (EGSDE, Zhao 2022)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.energies.base import Energy
from egsde.linear.quadratic import QuadraticPart
from egsde.scores import Score, process_of
from egsde.sde import SDE
from egsde.source import Source


@dataclass(frozen=True)
class Guided:
    """score(y, t, source) - grad E(y, t, source), like y, and of the same process.

    A score like any other, so that every solver and method takes it.
    """

    score: Score
    energy: Energy

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.score(y, t, source) - self.energy.grad(y, t, source)

    def quadratic(self, source: Source) -> QuadraticPart:
        """The quadratic part of the energy, for solvers that integrate it exactly."""
        return self.energy.quadratic(source)


def guided(score: Score, energy: Energy | None) -> Score:
    """The score under an energy; itself where there is none."""
    return score if energy is None else Guided(score, energy)
