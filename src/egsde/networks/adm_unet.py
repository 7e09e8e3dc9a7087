"""The ADM UNet of guided-diffusion (Dhariwal and Nichol 2021, arXiv 2105.05233): eps(x, t).

Shapes: x (B, in, H, W), t (B,) floats, levels 0..999 or log sigma -> (B, out, H, W), twice out if
learn_sigma.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egsde.networks.end_time import EndTime
from egsde.networks.layers import (
    Blocks,
    GaussianFourier,
    Stage,
    cos_sin_embedding,
    group_norm,
    labelled,
    laid_out,
    zero,
)
from egsde.networks.sizes import Numbers, Size, downsampling, folded_side, level_widths


class ADMUNet(nn.Module):
    """UNet of residual and attention blocks, with the option names of the official `create_model`.

    attention_resolutions are sides of feature maps; num_head_channels, unless -1, overrides
    num_heads; class_cond adds an embedding of `num_class` labels. fourier_scale: random Fourier
    features instead of sinusoids, 16 with `predictions.LogSigma` as NCSN++ has it. patch p > 1
    folds p x p pixels into channels, so that all blocks work at side image_size / p: the cost of a
    smaller image. A 3 x 3 convolution after the unfolding takes out the pattern of period p. Sides
    of feature maps and halvings then count from image_size / p. ValueError for sizes that do not
    divide (groups of 32 channels, heads, halvings). two_times: the network is also told `to`, the
    time where a flow map ends (`EndTime`).
    """

    def __init__(
        self,
        image_size: Size,
        *,
        num_channels: int = 128,
        num_res_blocks: int = 1,
        channel_mult: Numbers = None,
        attention_resolutions: Numbers = "16",
        num_heads: int = 4,
        num_head_channels: int = 64,
        num_heads_upsample: int = -1,
        in_channels: int = 3,
        out_channels: int = 3,
        learn_sigma: bool = False,
        class_cond: bool = False,
        num_class: int = 1000,
        dropout: float = 0.0,
        use_scale_shift_norm: bool = True,
        resblock_updown: bool = True,
        use_new_attention_order: bool = False,
        checkpoint: bool = False,
        fourier_scale: float | None = None,
        patch: int = 1,
        two_times: bool = False,
    ) -> None:
        super().__init__()
        self.image_size, self.num_channels = image_size, num_channels
        self.in_channels = in_channels
        self.out_channels = 2 * out_channels if learn_sigma else out_channels
        side = folded_side(image_size, patch)
        widths = level_widths(side, num_channels, channel_mult)
        self.multiple = patch * 2 ** (len(widths) - 1)  # of both sides of an image
        folded_side(image_size, patch, len(widths) - 1)
        attend_at = downsampling(side, attention_resolutions, len(widths))
        emb_channels = 4 * num_channels
        make = Blocks(
            emb_channels,
            dropout=dropout,
            film=use_scale_shift_norm,
            resblock_updown=resblock_updown,
            num_heads=num_heads,
            num_head_channels=num_head_channels,
            heads_first=not use_new_attention_order,
            checkpoint=checkpoint,
        )
        self.fourier = (
            None if fourier_scale is None else GaussianFourier(num_channels, fourier_scale)
        )
        self.time_embed = nn.Sequential(
            nn.Linear(num_channels, emb_channels), nn.SiLU(), nn.Linear(emb_channels, emb_channels)
        )
        self.label_emb = nn.Embedding(num_class, emb_channels) if class_cond else None
        self.input_blocks, self.middle_block, skips = make.encoder(
            in_channels * patch**2, widths, num_res_blocks, attend_at
        )
        self.fold = nn.PixelUnshuffle(patch)
        channels, heads_up = widths[-1], None if num_heads_upsample == -1 else num_heads_upsample
        outputs: list[Stage] = []
        for level, width in reversed(list(enumerate(widths))):
            for i in range(num_res_blocks + 1):
                layers: list[nn.Module] = [make.res(channels + skips.pop(), width)]
                channels = width
                if 2**level in attend_at:
                    layers.append(make.attention(channels, heads_up))
                if level and i == num_res_blocks:
                    layers.append(make.up(channels))
                outputs.append(Stage(*layers))
        self.output_blocks = nn.ModuleList(outputs)
        last = [group_norm(channels), nn.SiLU()]
        if patch > 1:
            last += [
                nn.Conv2d(channels, channels // 4 * patch**2, 3, padding=1),
                nn.PixelShuffle(patch),
                nn.SiLU(),
            ]
            channels //= 4
        self.out = nn.Sequential(*last, zero(nn.Conv2d(channels, self.out_channels, 3, padding=1)))
        self.end_time = EndTime(num_channels, emb_channels) if two_times else None

    def forward(
        self, x: Tensor, t: Tensor, label: Tensor | None = None, to: Tensor | None = None
    ) -> Tensor:
        """x (B, in, H, W), t (B,) in 0..999, label (B,) for class_cond, to like t for two_times
        -> (B, out, H, W)."""
        waves = cos_sin_embedding(t, self.num_channels) if self.fourier is None else self.fourier(t)
        emb = labelled(self.time_embed(waves.to(x.dtype)), self.label_emb, label)
        if self.end_time is not None:
            emb = emb + self.end_time(to, emb)
        skips, x = [], laid_out(self.fold(x))
        for block in self.input_blocks:
            x = block(x, emb)
            skips.append(x)
        x = self.middle_block(x, emb)
        for block in self.output_blocks:
            x = block(torch.cat([x, skips.pop()], dim=1), emb)
        return self.out(x).contiguous()
