"""Structure: self-similarity of a vision transformer's keys (Splice, Tumanyan 2022; DiffuseIT).

    S_ij(x) = cos(k_i(x), k_j(x)),    E = mean over i, j of (S_ij(y) - S_ij(x_t))^2

k_i: the key of patch i in a late layer. What lies where is kept, how it looks is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from egsde.energies.base import Energy
from egsde.energies.pretrained import Seen, normalisation, opened
from egsde.source import Source

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KEYS = ("attention.key", "attention.k_proj")  # the last is of transformers 5


@dataclass(frozen=True, eq=False)
class DINO(Energy):
    """seen.features: (B, N, N), the self-similarity. E (B,), in [0, 4]."""

    seen: Seen

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        ours = self.seen.features(y, t)

        def away(draw: int) -> Tensor:
            theirs = source.features(self.seen, t, draw)
            return (ours - theirs).square().mean((1, 2))

        return source.average(away)


@dataclass(frozen=True)
class SelfSimilarity:
    """layer: whose keys, from the last with negative numbers. patches: how many of the tokens."""

    layer: int
    patches: int

    def __call__(self, net: Any, x: Tensor) -> Tensor:
        found: list[Tensor] = []
        hook = keys_of(net)[self.layer].register_forward_hook(lambda *a: found.append(a[2]))
        try:
            net(pixel_values=x)
        finally:
            hook.remove()
        keys = normalize(found[0][:, -self.patches :], dim=2)  # (B, N, D), after class and others
        return keys @ keys.transpose(1, 2)


def keys_of(net: Any) -> list[Any]:
    """The layers that make keys, first to last."""
    return [part for name, part in net.named_modules() if name.endswith(KEYS)]


def load_dino(weights: str | Path | None, layer: int = -1) -> DINO:
    """A ViT (facebook/dino-vits8, dinov2-small and alike) of a folder, or of the hub.

    ValueError for a network without keys of patches, and a layer that there is not.
    """
    net, folder = opened(weights, "AutoModel", "dino", "patch_size")
    layers = len(keys_of(net))
    if not -layers <= layer < layers:
        raise ValueError(
            f"layer={layer} is none of the {layers} layers with keys of {folder}; use -1, the last"
        )
    side, patch = net.config.image_size, net.config.patch_size
    look = SelfSimilarity(layer, (side // patch) ** 2)
    with torch.no_grad():
        return DINO(Seen(net, look, side, *normalisation(folder, MEAN, STD)))
