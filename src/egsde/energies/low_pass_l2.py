"""Faithfulness: ||LP(y) - LP(x_t)||^2, a sum over channels and pixels (EGSDE, Zhao 2022, -S_i).

The filter is linear, so the gradient is 2 G (y - x_t) G in closed form (functions/denoising.py:
s2 = "neg_l2"). A sum: its gradient at a pixel is the same at any size while factor / size is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.energies.base import Energy
from egsde.linear.filters import Kernel, LowPass, linear
from egsde.linear.quadratic import QuadraticPart
from egsde.source import Source


@dataclass(frozen=True)
class LowPassL2(Energy):
    """E = ||LP(y - x_t)||^2, a sum over all values; (B,), at least 0. Gradient 2 LP^T LP (y - x_t).

    factor: the low pass keeps 1 / factor of each side, which it must divide. "expectation" noise:
    x_t is replaced by its mean alpha x_0, which is the exact expected gradient; the value then
    omits a constant in y.
    """

    factor: int = 32  # at 256 pixels
    kernel: Kernel = linear

    def __post_init__(self) -> None:
        LowPass(self.factor, self.kernel)  # ValueError for a factor below 1

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        low = LowPass(self.factor, self.kernel)(y - source.mean(t))
        return low.square().flatten(1).sum(1)

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return 2 * LowPass(self.factor, self.kernel).gram(y - source.mean(t))

    def quadratic(self, source: Source) -> QuadraticPart:
        """It is one: its curvatures are 2 times the products of the eigenvalues of G."""
        low_pass = LowPass(self.factor, self.kernel)
        (height, left), (width, right) = (low_pass.modes(n) for n in source.x0.shape[-2:])
        bases = (left.to(source.x0), right.to(source.x0))
        return QuadraticPart(2 * torch.outer(height, width), source.mean_parts, bases)
