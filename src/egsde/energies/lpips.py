"""Perceptual distance (LPIPS, Zhang 2018) of y and x_t as an energy.

Its network is torchmetrics', which `egsde.evaluation.metrics.lpips.load_lpips` opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from egsde.energies.base import Energy
from egsde.energies.pretrained import coloured, resized
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class LPIPS(Energy):
    """E = LPIPS(y, x_t), (B,), at least 0. Images below `side` pixels are enlarged to it."""

    net: Any
    side: int = 64

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return source.average(lambda draw: self.distance(y, source.at(t, draw)))

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Of two images in [-1, 1], (B,)."""
        net = self.net.to(y.device)
        parameter = next(net.parameters())
        a, b = (self._large(image).to(parameter) for image in (y, x))
        return net(a, b).flatten().to(y.dtype)

    def _large(self, x: Tensor) -> Tensor:
        return resized(coloured(x), self.side) if min(x.shape[-2:]) < self.side else coloured(x)
