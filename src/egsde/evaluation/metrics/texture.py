"""Noise that a translation left: what of an image is finer than three pixels.

    noise = 255 rms(y - b * y),   b = [1 2 1]' [1 2 1] / 16

Beside it `noise_floor` is the target's own: above it noise was left over, below it detail was lost.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BINOMIAL = (0.25, 0.5, 0.25)


def noise(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> (B,) float64, in grey levels; 0 for images under 3 px."""
    x = images.double()
    if min(x.shape[-2:]) < 3:
        return x.new_zeros(len(x))
    row = x.new_tensor(BINOMIAL).expand(x.shape[1], 1, -1)
    blurred = F.conv2d(F.conv2d(x, row[..., None], groups=x.shape[1]), row[:, :, None],
                       groups=x.shape[1])  # fmt: skip
    fine = x[..., 1:-1, 1:-1] - blurred
    return torch.linalg.vector_norm(fine.flatten(1), dim=1).cpu() / fine[0].numel() ** 0.5
