"""A solver is one step of one method: from time t to s, given the reverse process and noise."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from egsde.noise import Randn
from egsde.reverse import Reverse

Carry = Any  # what a multistep solver remembers; None for one-step methods


class Solver(Protocol):
    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        """x at time t -> (x at time s, carry); randn is a randn_like of this step."""
        ...
