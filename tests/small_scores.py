"""Small float64 scores and batches for tests of losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egsde.sde import SDE


@dataclass(frozen=True)
class Exact:
    """A score function in place of a model."""

    sde: SDE
    score: Callable[..., Tensor]

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.score(x, t)


class Net(nn.Module):
    """Smooth, with parameters; a second half of channels if asked."""

    def __init__(self, channels: int = 2, out: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(channels, 16, 1, dtype=torch.float64)
        self.last = nn.Conv2d(16, out, 1, dtype=torch.float64)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x) + t[:, None, None, None] / 1000))


def batch(count: int, sde: SDE, channels: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x0, eps = torch.randn(2, count, channels, 1, 1, generator=generator, dtype=torch.float64)
    u = torch.rand(count, 1, 1, 1, generator=generator, dtype=torch.float64)
    return 0.5 * x0, sde.training_time(0.05 + 0.9 * u), eps
