"""CutMix (Yun 2019, arXiv 1905.04899) within a domain: a picture takes a rectangle of another one.

What a picture shows is broken up, how it is drawn is not, so that a classifier of few pictures
learns the style in the place of the things.
"""

from __future__ import annotations

import torch
from torch import Tensor

from egsde.training.draws import Draws


def cutmix(x: Tensor, label: Tensor, share: float, draws: Draws) -> Tensor:
    """x (B, C, H, W), of which about `share` have a quarter to three quarters of their area from
    the image before them, where that has the same label (B,): batches hold domain after domain."""
    chosen, area, shape, top, left = (draws.uniform(x) for _ in range(5))
    area = 0.25 + 0.5 * area
    height = (area.sqrt() * (0.7 + 0.6 * shape)).clamp(max=1)
    width = (area / height).clamp(max=1)
    rows = _span(x.shape[-2], top * (1 - height), height).mT
    inside = rows & _span(x.shape[-1], left * (1 - width), width)
    alike = (label == label.roll(1)).view(-1, 1, 1, 1)
    return torch.where(inside & alike & (chosen < share), x.roll(1, 0), x)


def _span(n: int, start: Tensor, size: Tensor) -> Tensor:
    """Which of n pixels lie between, (B, 1, 1, n); start and size (B, 1, 1, 1) of the side."""
    middle = (torch.arange(n, device=start.device, dtype=start.dtype) + 0.5) / n
    return (middle >= start) & (middle < start + size)
