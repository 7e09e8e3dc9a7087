"""The time-dependent domain classifier whose middle features are EGSDE's extractor (Zhao 2022).

The encoder half of ADM with attention pooling (guided-diffusion EncoderUNetModel; EGSDE's DSE).
Shapes: x (B, in, H, W), t (B,) levels 0..999 as floats; K domains, F features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from egsde.networks.layers import (
    AttentionPool,
    Blocks,
    cos_sin_embedding,
    group_norm,
    laid_out,
    zero,
)
from egsde.networks.sizes import Numbers, Size, downsampling, folded_side, level_widths, sides_of

Pair = tuple[int, int]


def _attention(side: Pair, channels: int, head_channels: int, classes: int) -> list[nn.Module]:
    return [AttentionPool(side, channels, head_channels, classes)]


def _adaptive(side: Pair, channels: int, head_channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), zero(nn.Conv2d(channels, classes, 1)), nn.Flatten()]


POOLS = {"attention": _attention, "adaptive": _adaptive}  # names and layers of guided-diffusion


class Statistics(nn.Module):
    """Maps of all blocks to logits (B, K), by the mean and the log variance of every channel.

    What tells styles apart is texture, which has no place and lies at every scale (Gatys 2016).
    """

    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(2 * channels), nn.Dropout(dropout)
        self.linear = nn.Linear(2 * channels, classes)

    def forward(self, maps: Iterable[Tensor]) -> Tensor:
        dtype = self.norm.weight.dtype  # not that of maps under autocast: their variance is coarse
        pairs = (torch.var_mean(m.to(dtype), (2, 3), correction=0) for m in maps)
        rows = torch.cat([row for v, mean in pairs for row in (mean, (v + 1e-3).log())], 1)
        return self.linear(self.dropout(self.norm(rows)))


class ADMEncoder(nn.Module):
    """logits = pool(features): `features` serve the energy, logits train the classifier.

    attention_resolutions are sides of feature maps; patch folds pixels as in `ADMUNet`. The head
    has the official name `I2Iout`. pool="statistics" reads the maps of all blocks.
    ValueError for sizes that do not divide (groups of 32 channels, heads, halvings).
    """

    own_head = "I2Iout."  # all else is as in guided-diffusion's ImageNet classifier

    def __init__(
        self,
        image_size: Size,
        num_classes: int = 2,
        *,
        width: int = 128,
        depth: int = 2,
        channel_mult: Numbers = None,
        attention_resolutions: Numbers = "32,16,8",
        num_head_channels: int = 64,
        in_channels: int = 3,
        dropout: float = 0.0,
        use_scale_shift_norm: bool = True,
        resblock_updown: bool = True,
        use_new_attention_order: bool = False,
        checkpoint: bool = False,
        pool: str = "attention",
        patch: int = 1,
    ) -> None:
        super().__init__()
        if pool not in (*POOLS, "statistics"):
            known = ", ".join([*POOLS, "statistics"])
            raise ValueError(f"pool={pool!r} is unknown; use one of {known}")
        self.image_size, self.width, self.num_classes = image_size, width, num_classes
        self.in_channels = in_channels
        side = folded_side(image_size, patch)
        widths = level_widths(side, width, channel_mult)
        self.multiple = patch * 2 ** (len(widths) - 1)  # of both sides of an image
        emb_channels = 4 * width
        make = Blocks(
            emb_channels,
            dropout=dropout,
            film=use_scale_shift_norm,
            resblock_updown=resblock_updown,
            num_head_channels=num_head_channels,
            heads_first=not use_new_attention_order,
            checkpoint=checkpoint,
        )
        self.time_embed = nn.Sequential(
            nn.Linear(width, emb_channels), nn.SiLU(), nn.Linear(emb_channels, emb_channels)
        )
        attend_at = downsampling(side, attention_resolutions, len(widths))
        self.input_blocks, self.middle_block, channels = make.encoder(
            in_channels * patch**2, widths, depth, attend_at
        )
        self.fold = nn.PixelUnshuffle(patch)
        folded_side(image_size, patch, len(widths) - 1)
        height, across = (n // self.multiple for n in sides_of(image_size))
        self.all_maps = pool == "statistics"
        if self.all_maps:
            self.I2Iout: nn.Module = Statistics(sum(channels) + widths[-1], num_classes, dropout)
            return
        head = POOLS[pool]((height, across), widths[-1], num_head_channels, num_classes)
        self.I2Iout = nn.Sequential(group_norm(widths[-1]), nn.SiLU(), *head)

    def maps(self, x: Tensor, t: Tensor) -> Iterator[Tensor]:
        """The output of every block, the middle's last."""
        emb = self.time_embed(cos_sin_embedding(t, self.width).to(x.dtype))
        x = laid_out(self.fold(x))
        for block in (*self.input_blocks, self.middle_block):
            x = block(x, emb)
            yield x

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """The middle block's output, (B, F, H / 2^(levels-1), W / 2^(levels-1))."""
        return deque(self.maps(x, t), maxlen=1).pop().contiguous()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.I2Iout(self.maps(x, t) if self.all_maps else self.features(x, t))
