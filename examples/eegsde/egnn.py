"""An E(n)-equivariant graph network (Satorras 2021, arXiv 2102.09844) of all pairs of a cloud.

    m_ij = e(h_i, h_j, |x_i - x_j|^2),  x_i += mean_j (x_i - x_j) / (|x_i - x_j| + 1) p(m_ij),
    h_i += f(h_i, mean_j m_ij)

Shapes: clouds (B, 3 + 1, n, 1), t (B,) in 0..999. Rotations, translations and permutations of the
atoms go through: positions turn with them, the rest stays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def mlp(enters: int, width: int, leaves: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(enters, width), nn.SiLU(), nn.Linear(width, leaves))


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.message = nn.Sequential(mlp(2 * width + 1, width, width), nn.SiLU())
        self.move, self.update = mlp(width, width, 1), mlp(2 * width, width, width)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        n = x.shape[1]
        apart = x[:, :, None] - x[:, None]  # (B, n, n, 3)
        squared = apart.square().sum(3, keepdim=True)
        both = [h[:, :, None].expand(-1, -1, n, -1), h[:, None].expand(-1, n, -1, -1)]
        message = self.message(torch.cat([*both, squared], 3))
        pull = apart / ((squared + 1e-12).sqrt() + 1) * self.move(message)
        h = h + self.update(torch.cat([h, message.mean(2)], 2))
        return x + pull.mean(2), h


class EGNN(nn.Module):
    """Cloud -> its noise, (B, 4, n, 1), with positions of mean zero."""

    def __init__(self, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(2, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))
        self.leave = nn.Linear(width, 1)

    def features(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions before and after, (B, n, 3), and the atoms' features, (B, n, width)."""
        start, own = y[:, :3, :, 0].transpose(1, 2), y[:, 3:, :, 0].transpose(1, 2)
        time = (t / 1000)[:, None, None].expand_as(own)
        x, h = start, self.enter(torch.cat([own, time], 2))
        for layer in self.layers:
            x, h = layer(x, h)
        return start, x, h

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        start, x, h = self.features(y, t)
        moved = x - start
        moved = moved - moved.mean(1, keepdim=True)
        return torch.cat([moved, self.leave(h)], 2).transpose(1, 2)[..., None]


class Property(EGNN):
    """Cloud -> one invariant number, (B,)."""

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        return self.leave(self.features(y, t)[2]).mean((1, 2))
