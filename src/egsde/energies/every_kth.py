"""An energy whose gradient is taken at every k-th step alone and held, or extrapolated, between.

With g_1 the last gradient, of time t_1, and g_2 the one before, the gradient at t is g_1, or
g_1 + (t - t_1) / (t_1 - t_2) (g_1 - g_2). The state moves by O(h) a step of size h, so the end of a
walk differs from that of k = 1 by O(k h), extrapolated by O((k h)^2).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.energies.base import Energy
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class EveryKth(Energy):
    """k = 1 is the energy itself. Steps 0, k, 2 k, ... evaluate it wherever the solver asks; the
    others not at all. ValueError unless k >= 1.

    Its values are the energy's own; it has no quadratic part, so that wrapping a term which a
    solver would integrate exactly gives that up.
    """

    energy: Energy
    k: int = 2
    extrapolate: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"EveryKth needs k >= 1, got {self.k}; 1 evaluates at every step")

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.energy(y, t, source)

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        """At a step between, from what the source remembers; a walk that began here evaluates."""
        kept: list[tuple[int, Tensor, Tensor]] = source.lasting.setdefault(id(self), [])
        first = source.step - source.step % self.k
        if first < source.step and kept and kept[-1][0] == first:
            return self._between(kept, t)
        gradient = self.energy.grad(y, t, source)
        before = [one for one in kept if one[0] < source.step]
        kept[:] = [*before[-1:], (source.step, t, gradient)]
        return gradient

    def _between(self, kept: list[tuple[int, Tensor, Tensor]], t: Tensor) -> Tensor:
        _, t_1, last = kept[-1]
        if not self.extrapolate or len(kept) < 2:
            return last
        _, t_2, before = kept[0]
        return last + (t - t_1) / (t_1 - t_2) * (last - before)
