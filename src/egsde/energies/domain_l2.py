"""Realism by distance: -||features(y) - features(x_t)||^2
(functions/denoising.py: s1 = "neg_l2")."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.energies.base import Energy
from egsde.scores import Extractor
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class DomainL2(Energy):
    """E = -||f(y, t) - f(x_t, t)||^2 over all of the extractor's features; (B,), at most 0.

    Unbounded below, so weights are small.
    """

    extractor: Extractor

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        ours = self.extractor.features(y, t)

        def distance(draw: int) -> Tensor:
            theirs = source.features(self.extractor, t, draw)
            return (ours - theirs).square().flatten(1).sum(1)

        return -source.average(distance)
