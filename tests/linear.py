"""Gaussian images and exact moments of what a linear translator makes of noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

SIDE = 4
PIXELS = SIDE * SIDE


def covariance(side: int = SIDE, reach: float = 1.0) -> Tensor:
    """Of a smooth grey image: 0.2 exp(-distance / reach), float64 (side^2, side^2)."""
    axis = torch.arange(side, dtype=torch.float64)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    return 0.2 * torch.exp(-torch.cdist(places, places) / reach)


@dataclass
class Axes:
    """Noise whose k-th number is one in row k + 1 and zero elsewhere: row 0 hears nothing."""

    rows: int
    drawn: list[str] = field(default_factory=list)
    path: str = ""

    def child(self, key: object) -> Axes:
        return Axes(self.rows, self.drawn, f"{self.path}{key}/")

    def stream(self, key: str):
        def randn_like(x: Tensor) -> Tensor:
            z = torch.zeros_like(x).flatten(1)
            for element in range(z.shape[1]):
                self.drawn.append(self.path + key)
                z[len(self.drawn), element] = 1
            return z.view_as(x)

        return randn_like


def moments(translator, x: Tensor, rows: int, **cond: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) of the translations of x (C, H, W)."""
    noise = Axes(rows)
    many = {name: value.expand(rows, *value.shape) for name, value in cond.items()}
    y = translator(x.expand(rows, *x.shape), noise, **many).flatten(1)
    assert 0 < len(noise.drawn) < rows
    root = y[1:] - y[0]
    return y[0], root.T @ root


def close(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], error: float) -> None:
    """Errors relative to the largest deviation."""
    scale = float(expected[1].diagonal().max())
    assert float((found[0] - expected[0]).abs().max()) < error * scale**0.5
    assert float((found[1] - expected[1]).abs().max()) < error * scale
