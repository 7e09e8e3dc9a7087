"""How far two images are for a network: what an autoencoder compares beside pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from egsde.scores import Extractor


class Perceptual(Protocol):
    """distance(y, x) -> (B,), differentiable in y; LPIPS is one."""

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Of two images in [-1, 1], (B,)."""


@dataclass(frozen=True, eq=False)
class ClassifierDistance:
    """Mean squared distance of a domain classifier's features at its smallest noisy time."""

    extractor: Extractor

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Of two images in [-1, 1], (B,)."""
        judge = self.extractor.to(x.device)
        t = torch.as_tensor(judge.sde.t_noisy, dtype=torch.float64)
        away = judge.features(y, t) - judge.features(x, t).detach()
        return away.square().flatten(1).mean(1)
