"""A plain convolutional network image -> image of the other domain, without noise or time.

x + f(x), f of residual blocks at full size; f starts at zero, so that an image's first partner is
itself. UNIT-DDPM's domain translation functions (Sasaki 2021, arXiv 2104.05358).
"""

from __future__ import annotations

from torch import Tensor, nn

from egsde.networks.layers import zero


class _Block(nn.Module):
    """h + conv(silu(norm(conv(silu(norm h)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(2):
            parts += [
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
            ]
        self.layers = nn.Sequential(*parts)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.layers(h)


class Pairing(nn.Module):
    """(B, channels, H, W) -> the same shape. ValueError unless 8 divides the width."""

    def __init__(self, channels: int = 3, *, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        if width % 8:
            raise ValueError(f"Pairing needs a width that 8 divides, got {width}")
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2),
            *(_Block(width) for _ in range(depth)),
            nn.SiLU(),
            zero(nn.Conv2d(width, channels, 5, padding=2)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)
