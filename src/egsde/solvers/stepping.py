"""A solver of one's own may be an object with a step and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


class Step(Protocol):
    """All that a solver of one's own has to have."""

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        """As `Solver.step`."""
        ...


@dataclass(frozen=True)
class Stepping(Solver):
    """An object with a `step` and nothing else, as a solver that runs on every process."""

    inner: Step

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        return self.inner.step(reverse, x, t, s, randn, carry)


def complete(solver: Any) -> Solver:
    """A solver with all that a run asks of it, made of an object that may have only `step`."""
    return solver if hasattr(solver, "check") and hasattr(solver, "plan") else Stepping(solver)
