"""The reverse process: dx = [f x - (1 + eta^2) / 2 g^2 score] dt + eta g dw (Anderson 1982).

The score and its views are all that a solver sees. eta = 1 is the reverse SDE, eta = 0 the
probability-flow ODE (Song 2021); every eta has the same marginals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from egsde.linear.quadratic import NO_QUADRATIC, QuadraticPart
from egsde.sde.base import SDE


def _nothing(x: Tensor, t: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Reverse:
    """An SDE and a score (x, t) -> like x; asked only where sigma(t) > 0.

    impose (x, t) -> like x: the constraint, for a solver of several moves to apply between them;
    after the last one the loop does. quadratic: the part of the score that is minus the gradient
    of a known quadratic energy, for solvers that integrate it exactly; the score contains it.
    """

    sde: SDE
    score: Callable[[Tensor, Tensor], Tensor]
    impose: Callable[[Tensor, Tensor], Tensor] = _nothing
    quadratic: QuadraticPart = NO_QUADRATIC

    @staticmethod
    def given(sde: SDE, score: Any, source: Any) -> Reverse:
        """Of a score (y, t, source) -> like y for one source, with its `quadratic` if any."""
        quadratic = getattr(score, "quadratic", lambda source: NO_QUADRATIC)
        return Reverse(sde, partial(score, source=source), quadratic=quadratic(source))

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicted noise: -sigma score."""
        return -self.sde.sigma(t) * self.score(x, t)

    def x0(self, x: Tensor, t: Tensor) -> Tensor:
        """Denoised image (Tweedie): (x + sigma^2 score) / alpha."""
        return self.sde.denoised(x, t, self.score(x, t))

    def drift(self, x: Tensor, t: Tensor, eta: float = 1.0) -> Tensor:
        """f x - (1 + eta^2) / 2 g^2 score."""
        g_squared = self.sde.diffusion(t).square()
        return self.sde.drift(t) * x - 0.5 * (1 + eta**2) * g_squared * self.score(x, t)
