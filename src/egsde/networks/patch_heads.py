"""Heads of PatchNCE: features of chosen patches to unit vectors (Park 2020, arXiv 2007.15651).

A perceptron for each layer of the generator, C -> width -> width, then x / |x|. Names are the
official ones (`mlp_0.0.weight` ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from egsde.networks.resnet_generator import start


class PatchHeads(nn.Module):
    """channels: of the features of each layer."""

    def __init__(self, channels: Sequence[int], *, width: int = 256) -> None:
        super().__init__()
        for number, wide in enumerate(channels):
            head = nn.Sequential(nn.Linear(wide, width), nn.ReLU(), nn.Linear(width, width))
            setattr(self, f"mlp_{number}", head)
        start(self)

    def forward(self, number: int, patches: Tensor) -> Tensor:
        """(N, C) of one layer -> (N, width) of length one. ValueError for another C."""
        head: Any = getattr(self, f"mlp_{number}", None)
        known = None if head is None else head[0].in_features
        if known != patches.shape[1]:
            raise ValueError(
                f"the generator has {patches.shape[1]} channels in layer {number} of those that "
                f"PatchNCE compares, the heads know {known}: give module.terms.nce.layers= that "
                "fit network.blocks=, [0,4,8,12] of fewer than five, or heads.channels="
            )
        return F.normalize(head(patches), dim=1)
