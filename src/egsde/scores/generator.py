"""Plain generators x -> y (CycleGAN, pix2pix, CUT) for translators: no time, no noise."""

from __future__ import annotations

from torch import Tensor, nn

from egsde.scores.model import autocast_of


class Generator(nn.Module):
    """net(x), (B, C, H, W); `calls` counts evaluations. autocast: as in `ScoreModel`."""

    def __init__(self, net: nn.Module, *, autocast: bool = False) -> None:
        super().__init__()
        self.net, self.autocast = net, autocast
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        with autocast_of(x, self.autocast):
            return self.net(x).to(x.dtype)
