"""A quadratic energy 1/2 sum kappa (y - c(t))^2 over orthonormal modes of the image, as its parts.

A solver that knows it can integrate it exactly, however stiff. Modes are separable: y -> L^T y R
with orthogonal L (H, H) and R (W, W); kappa (H, W) are the energy's curvatures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class QuadraticPart:
    """rate: kappa, float64 (H, W) or (). centre(t) -> (x_0, eps) of c = alpha x_0 + sigma eps.

    bases: (L, R) on the image's device and dtype, None where the image's own pixels are modes.
    acts(t): whether the energy is there at that time.
    """

    rate: Tensor
    centre: Callable[[Tensor], tuple[Tensor, Tensor]]
    bases: tuple[Tensor, Tensor] | None = None
    acts: Callable[[Tensor], bool] = lambda t: True

    def at(self, t: Tensor) -> QuadraticPart:
        """The same, of rate zero where it does not act."""
        return self if self.acts(t) else replace(self, rate=torch.zeros_like(self.rate))

    def modes(self, y: Tensor) -> Tensor:
        """L^T y R."""
        return y if self.bases is None else self.bases[0].T @ y @ self.bases[1]

    def image(self, modes: Tensor) -> Tensor:
        """L modes R^T."""
        return modes if self.bases is None else self.bases[0] @ modes @ self.bases[1].T

    def grad(self, y: Tensor, c: Tensor) -> Tensor:
        """The energy's gradient at y, for the centre c."""
        return self.image(self.rate.to(y) * self.modes(y - c))


def _nowhere(t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros(()), torch.zeros(())


NO_QUADRATIC = QuadraticPart(torch.zeros((), dtype=torch.float64), _nowhere)
