"""An energy that acts only while t_lo <= t <= t_hi (as limited guidance intervals do,
Kynkaanniemi 2024, arXiv 2404.07724)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.energies.base import Energy
from egsde.linear.quadratic import QuadraticPart
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class During(Energy):
    """Outside of its times, the process's own, the energy is zero and is not evaluated. ValueError
    unless t_lo < t_hi."""

    energy: Energy
    t_hi: float = math.inf
    t_lo: float = 0.0

    def __post_init__(self) -> None:
        if not self.t_lo < self.t_hi:
            raise ValueError(f"During needs t_lo < t_hi, got {self.t_lo} and {self.t_hi}")

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.energy(y, t, source) if self._acts(t) else y.new_zeros(len(y))

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.energy.grad(y, t, source) if self._acts(t) else torch.zeros_like(y)

    def quadratic(self, source: Source) -> QuadraticPart:
        """The inner energy's, during these times."""
        return replace(self.energy.quadratic(source), acts=self._acts)

    def _acts(self, t: Tensor) -> bool:
        return self.t_lo <= float(t) <= self.t_hi
