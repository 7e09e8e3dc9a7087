"""A multilayer perceptron for points as images of one pixel: residual layers, modulated by time.

Shapes: x (B, C, 1, 1), t (B,) -> (B, C, 1, 1), twice C if learn_sigma.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from egsde.networks.end_time import EndTime
from egsde.networks.layers import GaussianFourier, cos_sin_embedding, labelled, zero


class Layer(nn.Module):
    """h + linear(silu((1 + scale) linear(silu h) + shift)), scale and shift from the time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.film = zero(nn.Linear(width, 2 * width))

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.film(emb).chunk(2, dim=1)
        inner = torch.addcmul(shift, self.first(F.silu(h)), 1 + scale)
        return h + self.second(F.silu(inner))


class MLP(nn.Module):
    """`depth` residual layers of `width`. fourier_scale: as in ADMUNet; about 1 for log sigma.

    in_channels: by default `channels`; more where a condition comes first. class_cond adds an
    embedding of `num_class` labels. two_times: as in ADMUNet. octaves: so many sines and cosines of
    2^k pi x beside x, by which a small network sees what is fine (Tancik 2020).
    """

    def __init__(
        self,
        channels: int = 2,
        *,
        width: int = 128,
        depth: int = 3,
        learn_sigma: bool = False,
        fourier_scale: float | None = None,
        in_channels: int | None = None,
        class_cond: bool = False,
        num_class: int = 2,
        two_times: bool = False,
        octaves: int = 0,
    ) -> None:
        super().__init__()
        self.width, self.in_channels = width, in_channels or channels
        self.fourier = None if fourier_scale is None else GaussianFourier(width, fourier_scale)
        self.time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.label_emb = nn.Embedding(num_class, width) if class_cond else None
        self.octaves = octaves
        self.enter = nn.Linear(self.in_channels * (1 + 2 * octaves), width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))
        self.leave = zero(nn.Linear(width, 2 * channels if learn_sigma else channels))
        self.end_time = EndTime(width, width) if two_times else None

    def forward(
        self, x: Tensor, t: Tensor, label: Tensor | None = None, to: Tensor | None = None
    ) -> Tensor:
        waves = cos_sin_embedding(t, self.width) if self.fourier is None else self.fourier(t)
        emb = labelled(self.time_embed(waves.to(x.dtype)), self.label_emb, label)
        if self.end_time is not None:
            emb = emb + self.end_time(to, emb)
        emb = F.silu(emb)
        seen = x.flatten(1)
        angles = [seen * (math.pi * 2**k) for k in range(self.octaves)]
        h = self.enter(torch.cat([seen, *(w for a in angles for w in (a.sin(), a.cos()))], 1))
        for layer in self.layers:
            h = layer(h, emb)
        return self.leave(F.silu(h))[:, :, None, None]
