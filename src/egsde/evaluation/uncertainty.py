"""Where a translation was invented: the spread of K translations of one image under K keys.

spread = std_k y_k, whose square is the posterior's variance in the mean; change =
|mean_k y_k - x_0|; both are means over channels, in the images' units, where black to white is 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.methods.diffusion import Translator
from egsde.noise import Noise


@dataclass(frozen=True)
class Uncertain:
    """Maps (B, H, W) of the spread and of the change."""

    spread: Tensor
    change: Tensor


@torch.no_grad()
def uncertain(
    translator: Translator, x0: Tensor, noise: Noise, count: int, **cond: Tensor
) -> Uncertain:
    """Of images x0 (B, C, H, W); two translations in memory at a time. ValueError for a count
    below 2, which has no spread."""
    if count < 2:
        raise ValueError(f"uncertainty={count} translations have no spread; use 2 or more")
    mean, squares = torch.zeros_like(x0, dtype=torch.float64), torch.zeros_like(x0).double()
    for k in range(count):  # Welford's sums
        y = translator(x0, noise.child(f"uncertainty/{k}"), **cond).clamp(-1, 1).double()
        step = y - mean
        mean = mean + step / (k + 1)
        squares = squares + step * (y - mean)
    spread = (squares / (count - 1)).sqrt().mean(1)
    return Uncertain(spread.float(), (mean - x0).abs().mean(1).float())
