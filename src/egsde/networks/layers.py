"""Blocks of the ADM networks, named as in guided-diffusion (Dhariwal and Nichol 2021).

Shapes: B images, C channels, H x W pixels, E embedding width, L = H W tokens, h heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

M = TypeVar("M", bound=nn.Module)

GROUPS = 32


def group_norm(channels: int, eps: float = 1e-5) -> nn.GroupNorm:
    """GroupNorm with 32 groups; ValueError unless 32 divides the channels."""
    if channels % GROUPS:
        raise ValueError(
            f"a layer of {channels} channels cannot be split into {GROUPS} groups; "
            f"choose width times channel_mult as multiples of {GROUPS}"
        )
    return nn.GroupNorm(GROUPS, channels, eps=eps)


def zero(module: M) -> M:
    """Set all parameters to zero, so that a fresh residual branch starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def angles(t: Tensor, half: int, steps: float) -> Tensor:
    """t_b 10000^(-k/steps) for k < half: (B,) -> (B, half), in float32 as the originals do."""
    k = torch.arange(half, dtype=torch.float32, device=t.device)
    return t.float()[:, None] * torch.exp(k * (-math.log(10000) / steps))


def cos_sin_embedding(t: Tensor, width: int) -> Tensor:
    """ADM: [cos | sin](t 10000^(-k/half)), (B,) -> (B, width); guided_diffusion/nn.py."""
    angle = angles(t, width // 2, width // 2)
    return F.pad(torch.cat([angle.cos(), angle.sin()], dim=1), (0, width % 2))


class GaussianFourier(nn.Module):
    """NCSN++: [sin | cos](2 pi t w), w ~ N(0, scale^2) drawn once, (B,) -> (B, width).

    For labels log sigma (Song 2021; Tancik 2020); width is even.
    """

    weight: Tensor

    def __init__(self, width: int, scale: float = 16.0) -> None:
        super().__init__()
        self.register_buffer("weight", scale * torch.randn(width // 2))

    def forward(self, t: Tensor) -> Tensor:
        angle = 2 * math.pi * t[:, None] * self.weight
        return torch.cat([angle.sin(), angle.cos()], dim=1)


def labelled(emb: Tensor, table: nn.Embedding | None, label: Tensor | None) -> Tensor:
    """emb + table(label), (B, E); emb where the network has no labels. ValueError where it has
    some and none is given."""
    if table is None:
        return emb
    if label is None:
        raise ValueError("a class-conditional network needs label, got None; pass shape (B,)")
    return emb + table(label)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q^T k / sqrt(d)) v on (N, d, L); plain products where gradients are asked, so that it
    differentiates twice."""
    if only_asked(q):
        q, k, v = (part.transpose(1, 2)[:, None] for part in (q, k, v))  # (N, 1, L, d)
        return F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
    scale = q.shape[1] ** -0.25
    weight = torch.softmax((q * scale).transpose(1, 2) @ (k * scale), dim=-1)
    return v @ weight.transpose(1, 2)


def only_asked(x: Tensor) -> bool:
    """Whether a network is run for its values alone, neither differentiated nor written down."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing())


def laid_out(x: Tensor) -> Tensor:
    """x as (B, H, W, C) in memory where a CPU is only asked for values: its convolutions then need
    no reordering. The gradient of a group norm is several times slower so."""
    if only_asked(x) and x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


class Recomputed(nn.Module):
    """A block `run(x, emb)`, recomputed in the backward pass when `checkpoint` is set."""

    checkpoint: bool = False
    run: Callable[[Tensor, Tensor], Tensor]

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if self.checkpoint and torch.is_grad_enabled():
            return checkpoint(self.run, x, emb, use_reentrant=False)
        return self.run(x, emb)


class Stem(nn.Conv2d):
    """A convolution that ignores the embedding."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class Downsample(nn.Module):
    """Halve H and W by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Double H and W by repetition, then convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.conv(enlarge(x))


def enlarge(x: Tensor) -> Tensor:
    """Repeat each pixel twice: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def shrink(x: Tensor) -> Tensor:
    """Mean of 2 x 2 pixels: (B, C, H, W) -> (B, C, H/2, W/2)."""
    return F.avg_pool2d(x, 2)


class ResBlock(Recomputed):
    """skip(r x) + conv(silu(film(norm(conv(r silu(norm x))), emb))); r resizes or does nothing."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        emb_channels: int,
        *,
        dropout: float,
        film: bool,
        resize: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.film, self.resize = film, resize
        self.in_layers = nn.Sequential(
            group_norm(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(emb_channels, 2 * out_channels if film else out_channels)
        )
        self.out_layers = nn.Sequential(
            group_norm(out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def run(self, x: Tensor, emb: Tensor) -> Tensor:
        norm, silu, conv = self.in_layers
        h = silu(norm(x))
        if self.resize is not None:
            h, x = self.resize(h), self.resize(x)
        h = conv(h)
        e = self.emb_layers(emb)[:, :, None, None]  # (B, C or 2C, 1, 1)
        norm, silu, dropout, conv = self.out_layers
        if self.film:
            scale, shift = e.chunk(2, dim=1)
            h = torch.addcmul(shift, norm(h), 1 + scale)
        else:
            h = norm(h + e)
        return self.skip_connection(x) + conv(dropout(silu(h)))


class AttentionBlock(Recomputed):
    """x + proj(attention(norm x)) over pixels; `heads_first` is the legacy channel order.
    ValueError where heads do not divide the channels."""

    def __init__(self, channels: int, heads: int, *, heads_first: bool) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"attention over {channels} channels cannot have {heads} heads; "
                "choose num_heads that divides the channels of each attention level"
            )
        self.heads, self.heads_first = heads, heads_first
        self.norm = group_norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def run(self, x: Tensor, emb: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x).flatten(2))  # (B, 3C, L)
        batch, _, length = qkv.shape
        if self.heads_first:
            q, k, v = qkv.reshape(batch * self.heads, -1, length).chunk(3, dim=1)
        else:
            parts = qkv.reshape(batch, 3, -1, length).unbind(1)
            q, k, v = (part.reshape(batch * self.heads, -1, length) for part in parts)
        h = attend(q, k, v).reshape(batch, -1, length)
        return x + self.proj_out(h).reshape(x.shape)


class AttentionPool(nn.Module):
    """CLIP's pooling: attention asked by the mean token, (B, C, H, W) -> (B, out).

    The positions of images of another size than (height, width) are interpolated.
    """

    def __init__(
        self, sides: tuple[int, int], channels: int, head_channels: int, out_channels: int
    ) -> None:
        super().__init__()
        self.heads, self.sides = head_count(channels, head_channels), sides
        count = sides[0] * sides[1] + 1
        self.positional_embedding = nn.Parameter(torch.randn(channels, count) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        tokens = torch.cat([tokens.mean(dim=-1, keepdim=True), tokens], dim=-1)
        tokens = tokens + self.positions(*x.shape[-2:])  # (B, C, 1 + L)
        batch, _, length = tokens.shape
        parts = self.qkv_proj(tokens).reshape(batch, 3, -1, length).unbind(1)
        q, k, v = (part.reshape(batch * self.heads, -1, length) for part in parts)
        pooled = attend(q[:, :, :1], k, v).reshape(batch, -1, 1)
        return self.c_proj(pooled)[:, :, 0]

    def positions(self, height: int, width: int) -> Tensor:
        """(C, 1 + H W)."""
        kept = self.positional_embedding
        if (height, width) == self.sides:
            return kept
        grid = kept[:, 1:].unflatten(1, self.sides)[None]
        grid = F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)
        return torch.cat([kept[:, :1], grid[0].flatten(1)], 1)


class Stage(nn.Sequential):
    """Layers that all take (x, emb)."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, emb)
        return x


def head_count(channels: int, head_channels: int) -> int:
    """channels / head_channels; ValueError when it is not whole."""
    if head_channels == 0 or channels % head_channels:
        raise ValueError(
            f"num_head_channels={head_channels} does not divide the {channels} channels of an "
            "attention level; choose a divisor of width times channel_mult at each of "
            "attention_resolutions and at the lowest resolution"
        )
    return channels // head_channels


@dataclass(frozen=True)
class Blocks:
    """The options that all blocks of one ADM network share, and the blocks made from them."""

    emb_channels: int
    dropout: float = 0.0
    film: bool = True
    resblock_updown: bool = True
    num_heads: int = 4
    num_head_channels: int = -1
    heads_first: bool = True
    checkpoint: bool = False

    def res(
        self, channels: int, out: int, resize: Callable[[Tensor], Tensor] | None = None
    ) -> ResBlock:
        block = ResBlock(
            channels, out, self.emb_channels, dropout=self.dropout, film=self.film, resize=resize
        )
        block.checkpoint = self.checkpoint
        return block

    def attention(self, channels: int, num_heads: int | None = None) -> AttentionBlock:
        heads = num_heads or self.num_heads
        if self.num_head_channels != -1:
            heads = head_count(channels, self.num_head_channels)
        block = AttentionBlock(channels, heads, heads_first=self.heads_first)
        block.checkpoint = self.checkpoint
        return block

    def down(self, channels: int) -> nn.Module:
        return (
            self.res(channels, channels, shrink) if self.resblock_updown else Downsample(channels)
        )

    def up(self, channels: int) -> nn.Module:
        if self.resblock_updown:
            return self.res(channels, channels, enlarge)
        return Upsample(channels)

    def encoder(
        self, in_channels: int, widths: Sequence[int], depth: int, attend_at: frozenset[int]
    ) -> tuple[nn.ModuleList, Stage, list[int]]:
        """Input blocks, middle block and the channels of each input block's output.

        `widths` are the channels per level; `attend_at` the downsampling factors with attention.
        """
        channels = widths[0]
        blocks, skips = [Stage(Stem(in_channels, channels, 3, padding=1))], [channels]
        for level, width in enumerate(widths):
            for _ in range(depth):
                layers: list[nn.Module] = [self.res(channels, width)]
                channels = width
                if 2**level in attend_at:
                    layers.append(self.attention(channels))
                blocks.append(Stage(*layers))
                skips.append(channels)
            if level < len(widths) - 1:
                blocks.append(Stage(self.down(channels)))
                skips.append(channels)
        middle = Stage(
            self.res(channels, channels), self.attention(channels), self.res(channels, channels)
        )
        return nn.ModuleList(blocks), middle, skips
