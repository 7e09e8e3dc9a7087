"""The DDPM UNet (Ho 2020, arXiv 2006.11239) as ported in ermongroup/ddim, models/diffusion.py.

Its last four options are where diffusers' UNet2DModel may differ (`networks.diffusers_unet`).
Shapes: x (B, in, H, W), t (B,) levels 0..999 as floats -> (B, out, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from egsde.networks.layers import (
    Recomputed,
    angles,
    attend,
    enlarge,
    group_norm,
    laid_out,
    shrink,
)
from egsde.networks.sizes import Numbers, Size, downsampling, folded_side, level_widths

EPS = 1e-6


class ResnetBlock(Recomputed):
    """shortcut(x) + conv2(silu(norm2(conv1(silu(norm1 x)) + temb_proj(silu temb))))."""

    def __init__(
        self, channels: int, out_channels: int, temb: int, dropout: float, eps: float = EPS
    ) -> None:
        super().__init__()
        self.norm1 = group_norm(channels, eps)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.temb_proj = nn.Linear(temb, out_channels)
        self.norm2 = group_norm(out_channels, eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.nin_shortcut = (
            None if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def run(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.temb_proj(F.silu(emb))[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class AttnBlock(Recomputed):
    """x + proj_out(attention(norm x)) over all pixels, in heads of head_channels, or one head.
    ValueError where the channels are no whole number of heads."""

    def __init__(self, channels: int, eps: float = EPS, head_channels: int | None = None) -> None:
        super().__init__()
        self.head_channels = head_channels or channels
        if channels % self.head_channels:
            raise ValueError(
                f"attention over {channels} channels has no whole number of heads of "
                f"head_channels={head_channels}; choose a divisor"
            )
        self.norm = group_norm(channels, eps)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def run(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.norm(x)
        heads = (len(x) * x.shape[1] // self.head_channels, self.head_channels, -1)
        q, k, v = (layer(h).reshape(heads) for layer in (self.q, self.k, self.v))
        return x + self.proj_out(attend(q, k, v).reshape(x.shape))


class Downsample(nn.Module):
    """Strided convolution, padded on the right and below only unless `around`; or the mean of
    2 x 2 pixels."""

    def __init__(self, channels: int, with_conv: bool, around: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2) if with_conv else None
        self.pad = (1, 1, 1, 1) if around else (0, 1, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return shrink(x) if self.conv is None else self.conv(F.pad(x, self.pad))


class Upsample(nn.Module):
    """Repeat pixels, then convolve if asked."""

    def __init__(self, channels: int, with_conv: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if with_conv else None

    def forward(self, x: Tensor) -> Tensor:
        x = enlarge(x)
        return x if self.conv is None else self.conv(x)


class Embedding(nn.Module):
    """dense_1(silu(dense_0([sin | cos](t w)))): (B,) -> (B, 4 ch), w_k = 10000^(-k/(ch/2 - shift)).

    cos_first: [cos | sin].
    """

    def __init__(self, ch: int, cos_first: bool = False, shift: int = 1) -> None:
        super().__init__()
        self.ch, self.cos_first, self.shift = ch, cos_first, shift
        self.dense = nn.ModuleList([nn.Linear(ch, 4 * ch), nn.Linear(4 * ch, 4 * ch)])

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        first, second = self.dense
        angle = angles(t, self.ch // 2, self.ch // 2 - self.shift)
        waves = [angle.cos(), angle.sin()] if self.cos_first else [angle.sin(), angle.cos()]
        embedded = F.pad(torch.cat(waves, dim=1), (0, self.ch % 2))
        return second(F.silu(first(embedded.to(dtype))))


class DownLevel(nn.Module):
    """Residual blocks, each followed by attention where there is any, then a Downsample or None."""

    def __init__(
        self, blocks: list[ResnetBlock], attention: list[AttnBlock], downsample: Downsample | None
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.attn = nn.ModuleList(attention)
        self.downsample = downsample

    def forward(self, x: Tensor, emb: Tensor) -> list[Tensor]:
        """All outputs, in order: the skips of the way up."""
        outputs = []
        for i, block in enumerate(self.block):
            x = block(x, emb)
            if len(self.attn):
                x = self.attn[i](x, emb)
            outputs.append(x)
        if self.downsample is not None:
            outputs.append(self.downsample(x))
        return outputs


class Middle(nn.Module):
    """Block, attention, block."""

    def __init__(self, block_1: ResnetBlock, attn_1: AttnBlock, block_2: ResnetBlock) -> None:
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = block_1, attn_1, block_2

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x, emb), emb), emb)


class UpLevel(nn.Module):
    """The mirror of DownLevel: each block also pops a skip; then an Upsample or None."""

    def __init__(
        self, blocks: list[ResnetBlock], attention: list[AttnBlock], upsample: Upsample | None
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.attn = nn.ModuleList(attention)
        self.upsample = upsample

    def forward(self, x: Tensor, emb: Tensor, skips: list[Tensor]) -> Tensor:
        for i, block in enumerate(self.block):
            x = block(torch.cat([x, skips.pop()], dim=1), emb)
            if len(self.attn):
                x = self.attn[i](x, emb)
        return x if self.upsample is None else self.upsample(x)


class DDPMUNet(nn.Module):
    """UNet with the option names of the official YAML files (CelebA-HQ, CIFAR-10, ...).

    attn_resolutions are sides of feature maps; the first width is ch, ch_mult multiplies it.
    cos_first, freq_shift: the order and the lowest frequency of the time's sinusoids.
    pad_around: halvings are padded on all four sides. head_channels: several heads of attention.
    eps: of the group norms. ValueError for sizes that do not divide (groups of 32 channels,
    halvings, heads).
    """

    def __init__(
        self,
        image_size: Size,
        *,
        ch: int = 128,
        out_ch: int = 3,
        ch_mult: Numbers = (1, 1, 2, 2, 4, 4),
        num_res_blocks: int = 2,
        attn_resolutions: Numbers = (16,),
        dropout: float = 0.0,
        in_channels: int = 3,
        resamp_with_conv: bool = True,
        checkpoint: bool = False,
        cos_first: bool = False,
        freq_shift: int = 1,
        pad_around: bool = False,
        head_channels: int | None = None,
        eps: float = EPS,
    ) -> None:
        super().__init__()
        self.image_size, self.ch, self.head_channels = image_size, ch, head_channels
        self.in_channels, self.out_channels = in_channels, out_ch
        side = folded_side(image_size, 1)
        widths = level_widths(side, ch, ch_mult)
        folded_side(image_size, 1, len(widths) - 1)
        self.multiple = 2 ** (len(widths) - 1)  # of both sides of an image
        attend_at = downsampling(side, attn_resolutions, len(widths))
        temb, last = 4 * ch, len(widths) - 1

        def res(channels: int, width: int) -> ResnetBlock:
            block = ResnetBlock(channels, width, temb, dropout, eps)
            block.checkpoint = checkpoint
            return block

        def attention(width: int) -> AttnBlock:
            block = AttnBlock(width, eps, head_channels)
            block.checkpoint = checkpoint
            return block

        self.temb = Embedding(ch, cos_first, freq_shift)
        self.conv_in = nn.Conv2d(in_channels, ch, 3, padding=1)
        channels, skips = ch, [ch]
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            inputs = [channels] + [width] * (num_res_blocks - 1)
            heads = [attention(width) for _ in inputs if 2**level in attend_at]
            shrinker = Downsample(width, resamp_with_conv, pad_around) if level < last else None
            self.down.append(DownLevel([res(c, width) for c in inputs], heads, shrinker))
            skips += [width] * (num_res_blocks + (level < last))
            channels = width
        self.mid = Middle(res(channels, channels), attention(channels), res(channels, channels))
        rising: list[UpLevel] = []
        for level, width in reversed(list(enumerate(widths))):
            inputs = [channels] + [width] * num_res_blocks
            heads = [attention(width) for _ in inputs if 2**level in attend_at]
            blocks = [res(c + skips.pop(), width) for c in inputs]
            enlarger = Upsample(width, resamp_with_conv) if level else None
            rising.append(UpLevel(blocks, heads, enlarger))
            channels = width
        self.up = nn.ModuleList(rising[::-1])
        self.norm_out = group_norm(channels, eps)
        self.conv_out = nn.Conv2d(channels, out_ch, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, in, H, W), t (B,) in 0..999 -> (B, out, H, W)."""
        emb = self.temb(t, x.dtype)
        skips = [self.conv_in(laid_out(x))]
        for level in self.down:
            skips += level(skips[-1], emb)
        x = self.mid(skips[-1], emb)
        for level in reversed(self.up):
            x = level(x, emb, skips)
        return self.conv_out(F.silu(self.norm_out(x))).contiguous()
