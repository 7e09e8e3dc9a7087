"""Faithfulness by direction: -mean over pixels of cos(LP(y), LP(x_t)) over colour channels
(functions/denoising.py: s2 = "cosine")."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from egsde.energies.base import Energy
from egsde.linear.filters import Kernel, LowPass, linear
from egsde.source import Source


@dataclass(frozen=True)
class LowPassCosine(Energy):
    """E = -mean over pixels of cos(LP(y), LP(x_t)), over colours; (B,) in [-1, 1].

    factor: the low pass keeps 1 / factor of each side, which it must divide. "expectation" noise:
    the mean over draws of x_t.
    """

    factor: int = 32  # at 256 pixels
    kernel: Kernel = linear

    def __post_init__(self) -> None:
        LowPass(self.factor, self.kernel)  # ValueError for a factor below 1

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        low_pass = LowPass(self.factor, self.kernel)
        ours = normalize(low_pass(y), dim=1, eps=1e-10)

        def cosine(draw: int) -> Tensor:
            theirs = normalize(low_pass(source.at(t, draw)), dim=1, eps=1e-10)
            return (ours * theirs).sum(1).mean((1, 2))

        return -source.average(cosine)
