"""The residual generator of CycleGAN and CUT (Zhu 2017, arXiv 1703.10593; Johnson 2016): x -> y.

Shapes: (B, channels, H, W) -> (B, out_channels, H, W) in [-1, 1]; 4 divides the side. Layers have
the official numbers and names (`model.1.weight`, `model.10.conv_block.1.weight`), so that published
weights load; `resize` has layers of its own in place of the transposed convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from egsde.networks.blur import BlurDown, BlurUp


def start(net: nn.Module, std: float = 0.02) -> None:
    """The official initial weights: N(0, std^2) for convolutions, N(1, std^2) for scales of norms,
    zero for biases."""
    for part in net.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(part.weight, 0.0, std)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, std)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


class _Block(nn.Module):
    """x + norm(conv(relu(norm(conv x)))), at full width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResNetGenerator(nn.Module):
    """Two halvings, `blocks` residual blocks, two doublings (11.378 M parameters as published).

    antialias: blurred resampling, as in CUT. resize: nearest neighbours and a convolution instead
    of a transposed one, which leaves no chequered pattern (Odena 2016). ValueError for both.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        width: int = 64,
        blocks: int = 9,
        antialias: bool = False,
        resize: bool = False,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        if antialias and resize:
            raise ValueError("antialias and resize both say how images grow; use one of them")
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_normed(nn.Conv2d(channels, width, 7))]
        for wide in (width, 2 * width):
            stride = 1 if antialias else 2
            layers += _normed(nn.Conv2d(wide, 2 * wide, 3, stride=stride, padding=1))
            layers += [BlurDown(2 * wide)] if antialias else []
        layers += [_Block(4 * width) for _ in range(blocks)]
        for wide in (4 * width, 2 * width):
            layers += _growing(wide, antialias, resize)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels or channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        self.multiple = 4  # of both sides of an image
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < 8 or x.shape[-1] % 4 or x.shape[-2] % 4:
            raise ValueError(
                f"ResNetGenerator halves twice: sides of 8 or more that 4 divides, got "
                f"{tuple(x.shape[-2:])}; use another data.size"
            )
        return self.model(x)

    def features(self, x: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """What leaves these layers of `model`, in order; nothing after the last is evaluated.
        ValueError for layers that are not there."""
        if max(layers) >= len(self.model):
            raise ValueError(
                f"layers={list(layers)}, but this generator's are 0 .. {len(self.model) - 1}; "
                "it has more with more network.blocks="
            )
        found = []
        for number, layer in enumerate(list(self.model)[: max(layers) + 1]):
            x = layer(x)
            if number in layers:
                found.append(x)
        return found


def _normed(convolution: nn.Module) -> list[nn.Module]:
    width = int(convolution.out_channels)  # type: ignore[arg-type]
    return [convolution, nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]


def _growing(width: int, antialias: bool, resize: bool) -> list[nn.Module]:
    half = width // 2
    if antialias:
        return [BlurUp(width), *_normed(nn.Conv2d(width, half, 3, padding=1))]
    if resize:
        grown = [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1)]
        return [*grown, *_normed(nn.Conv2d(width, half, 3))]
    return _normed(nn.ConvTranspose2d(width, half, 3, stride=2, padding=1, output_padding=1))
