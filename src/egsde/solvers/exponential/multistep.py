"""Exponential multistep methods: one evaluation a step, the values of earlier steps in the carry.

A step predicts x_s from the last `order` values. With a corrector, the value found at s then
re-weighs that same step: x_s + gain (sum_j w'_j m_j - sum_j w_j m_j), before the next prediction
(PEC mode). Since it is an increment, what a constraint did to x_s stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.exponential.forms import (
    Coefficients,
    Moments,
    Point,
    Variable,
    adams,
    weighted,
)


@dataclass(frozen=True)
class Ordered(Solver):
    """A family of methods of orders 1, 2, 3 (`order`), self-starting with lower ones.

    last: the largest orders of the last steps of a run, (2, 1) for the last two; fewer than ten
    steps to a continuous process's t_min are steadier so (Lu 2022). Steps into clean data have
    order 1 always: the log-SNR there is infinite. ValueError for other orders.
    """

    order: int
    last: tuple[int, ...] = ()
    ends: tuple[float, ...] = field(default=(), repr=False, compare=False)  # of this run
    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 2.0

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"{type(self).__name__} has orders 1, 2 and 3, got {self.order}")
        if not all(order in (1, 2, 3) for order in self.last):
            raise ValueError(f"last lists orders 1, 2 or 3 of the last steps, got {self.last}")
        object.__setattr__(self, "last", tuple(self.last))  # a list, from a configuration
        weak, strong = self.orders()
        object.__setattr__(self, "weak_order", weak)  # of this order, not of the class's default
        object.__setattr__(self, "strong_order", strong)

    def orders(self) -> tuple[float | None, float | None]:
        """(weak, strong) order; of an ODE's method both are its order."""
        return float(self.order), float(self.order)

    def plan(self, times: Tensor) -> Solver:
        """This solver told where the run ends, for `last`."""
        return replace(self, ends=tuple(times[-len(self.last) :].tolist())) if self.last else self

    def limit(self, s: Tensor) -> int:
        """The largest order of a step into s."""
        return dict(zip(self.ends[::-1], self.last[::-1], strict=False)).get(float(s), 3)


class PredictedStep(NamedTuple):
    """A predicted step, kept until its end has been evaluated."""

    points: tuple[Point, ...]  # newest first: the first is where the step began
    step: Coefficients
    predicted: Tensor  # sum_j w_j m_j

    def correction(self, end: Point, moments: Moments) -> Tensor:
        """The increment of x that the value at the step's end asks for."""
        points = (*self.points, end)
        wanted = moments(self.step.z, len(points))
        return self.step.gain * (weighted(points, self.step.h, wanted) - self.predicted)


@dataclass(frozen=True)
class Multistep(Ordered):
    """moments: the rule of the weights. Subclasses say what is interpolated (`form`).

    carry: (points, newest first; the step to correct). Drop it (None) when time turns back, as on
    RePaint's rising edges: values of another path are no history.
    """

    moments: Moments = adams

    def form(self, s: Tensor) -> Variable:
        """The form of a step into s."""
        raise NotImplementedError

    def corrected(self) -> int:
        """How many earlier values the corrector reads beside the new one; 0: no corrector."""
        return 0

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde, form, limit = reverse.sde, self.form(s), self.limit(s)
        points, leap = carry or ((), None)
        here = Point(sde.log_snr(t), form.value(reverse, x, t))
        points = (here, *points)[: max(self.order, self.corrected())]
        if leap is not None:
            x = x + leap.correction(here, self.moments)
        if sde.is_clean(s):
            return form.clean(sde, x, t, s, here.value), (points, None)

        step = form.coefficients(sde, t, s)
        nodes = points[: min(self.order, limit)]
        predicted = weighted(nodes, step.h, self.moments(step.z, len(nodes)))
        x_s = step.scale * x + step.gain * predicted
        if float(step.std) > 0:
            x_s = x_s + step.std * randn(x)
        reread = points[: min(self.corrected(), limit)]
        return x_s, (points, PredictedStep(reread, step, predicted) if reread else None)
