"""div F = tr dF/dx = sum_k v_k^T (dF/dx) v_k, v a basis or random (Hutchinson 1989)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from egsde.noise import Randn


class Probes(Protocol):
    """draw(x, randn) -> (B, K, C, H, W) probes v_k with sum_k E[v_k v_k^T] = 1."""

    def draw(self, x: Tensor, randn: Randn) -> Tensor: ...


@dataclass(frozen=True)
class Basis:
    """Every unit vector: the exact divergence, one backward pass per dimension."""

    def draw(self, x: Tensor, randn: Randn) -> Tensor:
        """(B, D, C, H, W) for x (B, C, H, W) with D = C H W."""
        size = x[0].numel()
        unit = torch.eye(size, dtype=x.dtype, device=x.device).view(1, size, *x.shape[1:])
        return unit.expand(len(x), *unit.shape[1:])


@dataclass(frozen=True)
class Hutchinson:
    """`count` random probes with E v v^T = 1: an unbiased divergence.

    Rademacher signs have the smallest variance; gaussian: normal probes (Grathwohl 2019).
    ValueError for a count below 1.
    """

    count: int = 1
    gaussian: bool = False

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"Hutchinson needs at least one probe, got count={self.count}")

    def draw(self, x: Tensor, randn: Randn) -> Tensor:
        """(B, count, C, H, W); their outer products average to one over the count."""
        normal = torch.stack([randn(x) for _ in range(self.count)], 1)
        v = normal if self.gaussian else torch.where(normal < 0, -1.0, 1.0).to(x)
        return v / math.sqrt(self.count)


def with_divergence(
    function: Callable[[Tensor], Tensor], x: Tensor, probes: Tensor
) -> tuple[Tensor, Tensor]:
    """F(x) (B, C, H, W) and div F = sum_k v_k^T (dF/dx) v_k (B,), probes v (B, K, C, H, W).

    One evaluation and K backward passes; F must not couple the images of the batch.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = function(x)
        total = torch.zeros(len(x), dtype=probes.dtype, device=x.device)
        count = probes.shape[1]
        for k in range(count):
            v = probes[:, k]
            (row,) = torch.autograd.grad(value, x, v.to(value), retain_graph=k + 1 < count)
            total = total + (row * v).flatten(1).sum(1)
    return value.detach(), total.detach()
