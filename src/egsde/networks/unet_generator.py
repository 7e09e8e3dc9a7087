"""pix2pix's generator: a UNet down to one pixel (Isola 2017, arXiv 1611.07004), x -> y.

Shapes: (B, channels, H, W) -> (B, out_channels, H, W) in [-1, 1]; 2^halvings divides the side.
Modules are nested and named as the official ones (`model.model.1.model.3 ...`), 54.41 M parameters
with eight halvings. Dropout is active in training only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egsde.networks.resnet_generator import start


class _Level(nn.Module):
    """cat(x, up(inner(down(x)))); the outermost returns the image alone."""

    def __init__(
        self,
        outer: int,
        inner: int,
        inside: nn.Module | None = None,
        *,
        enters: int | None = None,
        dropout: bool = False,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.outermost = enters is not None
        bias = not batch_norm
        norm = nn.BatchNorm2d if batch_norm else nn.InstanceNorm2d
        down = nn.Conv2d(enters or outer, inner, 4, stride=2, padding=1, bias=bias)
        wide = inner if inside is None else 2 * inner
        up = nn.ConvTranspose2d(wide, outer, 4, stride=2, padding=1, bias=bias or self.outermost)
        middle = [] if inside is None else [inside]
        if self.outermost:
            parts = [down, *middle, nn.ReLU(inplace=True), up, nn.Tanh()]
        else:
            normed = [] if inside is None else [norm(inner)]
            parts = [nn.LeakyReLU(0.2), down, *normed, *middle, nn.ReLU(inplace=True), up,
                     norm(outer), *([nn.Dropout(0.5)] if dropout else [])]  # fmt: skip
        self.model = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], dim=1)


class UNetGenerator(nn.Module):
    """halvings: eight for 256 px; a level's width doubles up to 8 width. batch_norm: false is
    instance norm, which couples no images. ValueError for fewer than two halvings."""

    def __init__(
        self,
        channels: int = 3,
        *,
        width: int = 64,
        halvings: int = 8,
        dropout: bool = True,
        batch_norm: bool = True,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        if halvings < 2:
            raise ValueError(f"UNetGenerator needs two halvings or more, got {halvings}")
        self.halvings, self.multiple = halvings, 2**halvings
        widths = [width * min(2**level, 8) for level in range(halvings)]
        inside = _Level(widths[-2], widths[-1], batch_norm=batch_norm)
        for level in range(halvings - 2, 0, -1):
            drops = dropout and widths[level - 1] == widths[level]
            inside = _Level(widths[level - 1], widths[level], inside,
                            dropout=drops, batch_norm=batch_norm)  # fmt: skip
        self.model = _Level(out_channels or channels, width, inside,
                            enters=channels, batch_norm=batch_norm)  # fmt: skip
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2**self.halvings or x.shape[-2] % 2**self.halvings:
            raise ValueError(
                f"UNetGenerator halves {self.halvings} times, which {tuple(x.shape[-2:])} does not "
                "allow; use fewer, network.halvings, or another data.size"
            )
        return self.model(x)
