"""Low frequencies follow the source: y + LP(x_t) - LP(y) (ILVR, Choi 2021, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from egsde.constraints.reference import level
from egsde.source import Source


@dataclass(frozen=True)
class MatchLowPass:
    """Imposed while the time after the step is at least `until` (0: to the end).

    low_pass: linear, like x -> like x. Then LP(y) = LP(x_t) exactly where it is a projection
    (`LowPass(N, box)`); the official kernels are not, and leave LP(LP(d)) - LP(d).
    """

    low_pass: Callable[[Tensor], Tensor]
    until: float = 0.0
    old_time: bool = False

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        if float(t) < self.until - 1e-9:
            return y
        return y + self.low_pass(source.at(level(source, t, self.old_time)) - y)
