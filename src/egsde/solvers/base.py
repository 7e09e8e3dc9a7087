"""A solver is one step of one method: from time t to s, given the reverse process and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse

if TYPE_CHECKING:
    from egsde.sde import SDE

Carry = Any  # what a multistep solver remembers; None for one-step methods


class Solver:
    """Subclasses define `step` and declare how their error falls with the largest step.

    weak_order: of the error in means of functions of the end state; strong_order: of the error of
    a path driven by given noise. A deterministic solver has its ODE's order in both; None: no
    convergence as steps shrink (a corrector alone), or not defined.
    """

    weak_order: ClassVar[float | None] = None
    strong_order: ClassVar[float | None] = None

    def check(self, sde: SDE) -> None:
        """Raise ValueError where the method has no meaning on this process."""

    def plan(self, times: Tensor) -> Solver:
        """The solver of one run along these times: itself, unless it asks where the run ends."""
        return self

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        """x at time t -> (x at time s, carry); randn is a randn_like of this step."""
        raise NotImplementedError


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
