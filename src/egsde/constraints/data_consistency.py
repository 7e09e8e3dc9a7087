"""A linear measurement A x of the source is imposed: y - A^T A y + A^T y_t (CCDF, Chung 2022).

y_t = alpha(t) y_0 + sigma(t) A eps is the measurement y_0, as noisy as the state.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.constraints.reference import level
from egsde.linear.operators import Operator
from egsde.noise import Noise
from egsde.source import Source


@dataclass(frozen=True)
class DataConsistency:
    """y_0 is what came with the images (`operator.measured`), or A x_0.

    A y = y_t holds afterwards where A A^T = I. For pixels, `KeepKnown` says the same bit for bit.
    """

    operator: Operator
    old_time: bool = False

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        given = self.operator.given(source.cond)
        t = level(source, t, self.old_time)
        y_0 = given.measured(source.x0, source.cond)
        y_t = given.forward(source.at(t)) + source.sde.alpha(t) * (y_0 - given.forward(source.x0))
        return y + given.adjoint(y_t - given.forward(y)).to(y.dtype)


@dataclass(frozen=True)
class Estimate:
    """A start: the first guess behind the measurement, noised to times[0] (Chung 2022, eq. 9)."""

    operator: Operator

    def __call__(self, source: Source, times: Tensor, noise: Noise) -> Tensor:
        given = self.operator.given(source.cond)
        x = given.estimate(given.measured(source.x0, source.cond))
        return source.sde.perturb(x, times[0], noise.stream("start")(x))
