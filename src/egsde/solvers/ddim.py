"""DDIM: alpha_s x0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z, v = eta^2 std^2 sigma_s^2 / sigma_t^2.

Song 2021 (arXiv 2010.02502), eq. 12. eta = 0 is deterministic, eta = 1 is ancestral sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class DDIM(Solver):
    """eta in [0, 1]. Where time rises (s > t) a step is the deterministic one whatever eta is:
    a walk upwards encodes an image (Song 2021, section 5.4). ValueError for another eta."""

    eta: float = 0.0
    weak_order: ClassVar[float | None] = 1.0
    strong_order: ClassVar[float | None] = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta is from 0, deterministic, to 1, ancestral; got {self.eta}")

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde, eta = reverse.sde, self.eta if s < t else 0.0
        eps = reverse.eps(x, t)
        x0 = (x - sde.sigma(t) * eps) / sde.alpha(t)
        if eta == 0:
            return sde.alpha(s) * x0 + sde.sigma(s) * eps, None
        _, std = sde.transition(s, t)
        ratio = eta * std / sde.sigma(t)  # sqrt(v) / sigma_s
        kept = sde.sigma(s) * (1 - ratio.square()).clamp(min=0).sqrt()
        return sde.alpha(s) * x0 + kept * eps + sde.sigma(s) * ratio * randn(x), None
