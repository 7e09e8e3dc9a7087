"""A small convolutional autoencoder: images to latents of 1/2^k the side, and back (Rombach 2022).

Shapes: x (B, C, H, W) -> z (B, Z, H / f, W / f), f = 2^(levels - 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egsde.networks.layers import enlarge, group_norm
from egsde.networks.sizes import Numbers, Size, folded_side, level_widths


class Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm x)))))."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            group_norm(channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1),
            group_norm(out), nn.SiLU(), nn.Conv2d(out, out, 3, padding=1),
        )  # fmt: skip
        self.skip = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Enlarge(nn.Conv2d):
    """Twice the size by nearest neighbours, then a convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(enlarge(x))


class Autoencoder(nn.Module):
    """With codes=None the encoder gives mean and log variance (KL, Kingma 2014); else vectors whose
    nearest of that many codes the decoder sees (VQ, van den Oord 2017).

    `scale` times a latent has a standard deviation of 1; training measures and keeps it (Rombach
    2022, appendix G). ValueError for sides that do not halve and widths that 32 does not divide.
    """

    scale: Tensor

    def __init__(
        self,
        image_size: Size,
        *,
        ch: int = 32,
        ch_mult: Numbers = (1, 2, 2),
        num_res_blocks: int = 1,
        in_channels: int = 3,
        z_channels: int = 4,
        codes: int | None = None,
    ) -> None:
        super().__init__()
        widths = level_widths(folded_side(image_size, 1), ch, ch_mult)
        folded_side(image_size, 1, len(widths) - 1)
        self.in_channels, self.z_channels, self.factor = (
            in_channels,
            z_channels,
            2 ** (len(widths) - 1),
        )
        down: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 3, padding=1)]
        channels = widths[0]
        for level, width in enumerate(widths):
            for _ in range(num_res_blocks):
                down.append(Block(channels, width))
                channels = width
            if level < len(widths) - 1:
                down.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
        made = z_channels if codes else 2 * z_channels
        last = [group_norm(channels), nn.SiLU(), nn.Conv2d(channels, made, 3, padding=1)]
        self.encoder = nn.Sequential(*down, Block(channels, channels), *last)
        up: list[nn.Module] = [
            nn.Conv2d(z_channels, channels, 3, padding=1),
            Block(channels, channels),
        ]
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(num_res_blocks):
                up.append(Block(channels, width))
                channels = width
            if level:
                up.append(Enlarge(channels, channels, 3, padding=1))
        out = [group_norm(channels), nn.SiLU(), nn.Conv2d(channels, in_channels, 3, padding=1)]
        self.decoder = nn.Sequential(*up, *out)
        self.codes = nn.Embedding(codes, z_channels) if codes else None
        if self.codes is not None:
            nn.init.uniform_(self.codes.weight, -1.0, 1.0)
        self.register_buffer("scale", torch.ones(()))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x); of a VQ network the vectors, and -30."""
        h = self.encoder(x)
        if self.codes is not None:
            return h, torch.full_like(h, -30.0)
        mean, log_variance = h.chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def nearest(self, z: Tensor) -> Tensor:
        """The code nearest to each vector, like z; z itself without codes."""
        if self.codes is None:
            return z
        rows = z.movedim(1, -1)
        places = torch.cdist(rows.flatten(0, 2), self.codes.weight).argmin(1)
        return self.codes(places).view_as(rows).movedim(-1, 1)

    def decode(self, z: Tensor) -> Tensor:
        """The image of a latent, unscaled."""
        return self.decoder(self.nearest(z))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x from its mean latent."""
        return self.decode(self.moments(x)[0])
