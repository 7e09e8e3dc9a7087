"""Single-step DPM-Solver and DPM-Solver++ of order p: p evaluations within a step (Lu 2022).

Stages at lambda_t + r h with r = 1/2 (order 2), 1/3 and 2/3 (order 3); arXiv 2206.00927,
algorithms 1, 2; 2211.01095, algorithm 1 (2S).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry
from egsde.solvers.exponential.forms import (
    DenoisedForm,
    Moments,
    NoiseForm,
    Point,
    Variable,
    adams,
    bh2,
    weighted,
)
from egsde.solvers.exponential.multistep import Ordered


def even_log_snr(sde: SDE, t: Tensor, s: Tensor, stages: int) -> list[Tensor]:
    """Times that cut [t, s] into equal parts of log-SNR: the paper's r."""
    first, last = sde.log_snr(t), sde.log_snr(s)
    levels = [first + (last - first) * k / stages for k in range(1, stages)]
    return [sde.time(level) for level in levels]


def even_time(sde: SDE, t: Tensor, s: Tensor, stages: int) -> list[Tensor]:
    """Times that cut [t, s] into equal parts: the official code's choice on a uniform grid."""
    return [sde.snap(t + (s - t) * k / stages) for k in range(1, stages)]


@dataclass(frozen=True)
class DPMSolverPPSingle(Ordered):
    """DPM-Solver++ of order 1, 2 or 3 within a step, so many evaluations each.

    stages: where evaluations lie, `even_log_snr` or `even_time`.

    last: orders of the last steps; the official "DPM-Solver-fast" of n evaluations and order 3
    ends with (2, 1), (1,) or (2,) as n mod 3 is 0, 1 or 2. On a chain, stages are snapped to
    levels; a step too short to hold them has a lower order.
    """

    stages: Callable[[SDE, Tensor, Tensor, int], list[Tensor]] = even_log_snr
    form: ClassVar[Variable] = DenoisedForm()

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde = reverse.sde
        points = [Point(sde.log_snr(t), self.form.value(reverse, x, t))]
        if sde.is_clean(s):
            return self.form.clean(sde, x, t, s, points[0].value), None
        inner = self._inner(sde, t, s)
        moments = bh2 if len(inner) == 1 else adams
        for u in inner:
            x_u = self._reach(sde, x, t, u, points, moments)
            points.append(Point(sde.log_snr(u), self.form.value(reverse, x_u, u)))
        return self._reach(sde, x, t, s, points, moments), None

    def _inner(self, sde: SDE, t: Tensor, s: Tensor) -> list[Tensor]:
        times = [float(t), float(s)]
        kept = []
        for u in self.stages(sde, t, s, min(self.order, self.limit(s))):
            if float(u) not in times:
                kept.append(u)
                times.append(float(u))
        return kept

    def _reach(
        self, sde: SDE, x: Tensor, t: Tensor, u: Tensor, points: list[Point], moments: Moments
    ) -> Tensor:
        """x_u from x_t by the first value and the newest."""
        step = self.form.coefficients(sde, t, u)
        used = [points[0], *points[1:][-1:]]
        return step.scale * x + step.gain * weighted(used, step.h, moments(step.z, len(used)))


@dataclass(frozen=True)
class DPMSolverSingle(DPMSolverPPSingle):
    """The same in predicted noises: DPM-Solver-2 and -3 (arXiv 2206.00927, algorithms 1 and 2)."""

    form: ClassVar[Variable] = NoiseForm()
