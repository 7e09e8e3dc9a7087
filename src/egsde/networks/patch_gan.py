"""PatchGAN: is each patch of an image real? (Isola 2017, arXiv 1611.07004).

Shapes: (B, channels, H, W) -> logits (B, 1, h, w). With three layers each logit sees 70 x 70
pixels. Layers have the official numbers and names; 2.765 M parameters as published.
"""

from __future__ import annotations

from torch import Tensor, nn

from egsde.networks.blur import BlurDown
from egsde.networks.resnet_generator import start


class PatchGAN(nn.Module):
    """`layers` halvings. batch_norm: pix2pix's; else instance norm. antialias: as in CUT.

    ValueError for images so small that no logit or one value to normalise would be left.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        width: int = 64,
        layers: int = 3,
        batch_norm: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"PatchGAN needs one layer or more, got layers={layers}")
        self.layers = layers
        made: list[nn.Module] = []
        before, wide = channels, width
        for number in range(layers + 1):
            last = number == layers
            stride = 1 if last or antialias else 2
            normed = number > 0
            made.append(
                nn.Conv2d(before, wide, 4, stride=stride, padding=1,
                          bias=not (normed and batch_norm))
            )  # fmt: skip
            if normed:
                made.append(nn.BatchNorm2d(wide) if batch_norm else nn.InstanceNorm2d(wide))
            made.append(nn.LeakyReLU(0.2, inplace=True))
            if antialias and not last:
                made.append(BlurDown(wide))
            before, wide = wide, min(2 * wide, 8 * width)
        made.append(nn.Conv2d(before, 1, 4, padding=1))
        self.model = nn.Sequential(*made)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < 2 ** (self.layers + 2):
            raise ValueError(
                f"PatchGAN of {self.layers} layers needs images of {2 ** (self.layers + 2)} px or "
                f"more, got {tuple(x.shape[-2:])}; use fewer, discriminator.layers="
                f"{max(1, min(x.shape[-2:]).bit_length() - 3)}, or larger images"
            )
        return self.model(x)
