"""Resampling by binomial filters, so that shifts do not alias (Zhang 2019, as in CUT's networks).

The filters are buffers named `filt`, as in the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _binomial(taps: list[float], channels: int, gain: float) -> Tensor:
    row = torch.tensor(taps)
    square = row[:, None] * row
    return (gain * square / square.sum()).repeat(channels, 1, 1, 1)


class BlurDown(nn.Module):
    """(B, C, H, W) -> half the side: [1, 2, 1] both ways, then every second pixel."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", _binomial([1.0, 2.0, 1.0], channels, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """(B, C, H, W) -> twice the side: zeros between the pixels, then [1, 3, 3, 1] both ways."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", _binomial([1.0, 3.0, 3.0, 1.0], channels, 4.0))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        wide = F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])
        return wide[:, :, 1:-1, 1:-1]
