"""Clouds of mean zero through egsde's loop, and an energy that asks for a property.

E(y, t) = (g(y, t) - c)^2, its gradient equivariant because g is invariant (Bao 2023). Noise of the
positions has no mean: the space of such clouds is where diffusion, score and guidance live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde import Diffusion, Energy, Noise, Sampler, Source
from egsde.energies import Guided
from egsde.methods import prior

Predict = Callable[[Tensor, Tensor], Tensor]  # (y, label) -> (B,)


def centred(y: Tensor) -> Tensor:
    """Positions moved to a mean of zero; the fourth channel stays."""
    positions = y[:, :3]
    return torch.cat([positions - positions.mean(2, keepdim=True), y[:, 3:]], 1)


def start(source: Source, times: Tensor, noise: Noise) -> Tensor:
    """Noise of mean zero."""
    return centred(prior(source, times, noise))


def keep(y: Tensor, t: Tensor, source: Source) -> Tensor:
    """After each step: the noise that it drew loses its mean."""
    return centred(y)


@dataclass(frozen=True, eq=False)
class Wanted(Energy):
    """(g(y, t) - value)^2."""

    predict: Predict
    value: float

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        label = source.sde.network_time(t).to(y).expand(len(y))
        return (self.predict(y, label) - self.value).square()


def guided_clouds(score, sampler: Sampler, energy: Energy | None = None) -> Diffusion:
    """New clouds, shaped and named like the sources that the translator is given."""
    told = score if energy is None else Guided(score, energy)
    return Diffusion(told, sampler, start=start, constraint=keep)
