"""A solver is one step of one method: from time t to s, given the reverse process and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

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
