"""Realism: mean over positions of cos(features(y), features(x_t)) (EGSDE, Zhao 2022, S_s).

Features of a time-dependent domain classifier carry what tells the domains apart; a low energy
drops the source's share of it. Cosine over channels, mean over positions
(functions/denoising.py: s1 = "cosine").
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from egsde.energies.base import Energy
from egsde.scores import Extractor
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class DomainCosine(Energy):
    """E = mean over positions of cos(f(y, t), f(x_t, t)) over channels; (B,) in [-1, 1].

    f: the extractor's features (B, F, h, w). The gradient flows through those of y only.

    "expectation" noise: the cosine is linear in the source's unit features, so they are averaged.
    """

    extractor: Extractor

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        ours = normalize(self.extractor.features(y, t), dim=1, eps=1e-10)

        def cosine(draw: int) -> Tensor:
            theirs = normalize(source.features(self.extractor, t, draw), dim=1, eps=1e-10)
            return (ours * theirs).sum(1).mean((1, 2))

        return source.average(cosine)
