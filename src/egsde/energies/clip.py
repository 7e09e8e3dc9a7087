"""What CLIP sees (Radford 2021): E = 1 - cos(f(y), w), w of a prompt, a picture or the source.

With a prompt the energy leads to a described domain without a picture of it (DiffusionCLIP, Kim
2022); without, it keeps what the source shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from egsde.energies.base import Energy
from egsde.energies.pretrained import Seen, normalisation, opened
from egsde.networks.folders import read_tokenizer, tokens_of
from egsde.opened import opened as open_picture
from egsde.opened import picture_bytes
from egsde.source import Source

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, eq=False)
class CLIP(Energy):
    """E = 1 - cos(f(y), wanted), (B,) in [0, 2]. wanted: (1, D), or None for f(x_t)."""

    seen: Seen
    wanted: Tensor | None = None

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        ours = normalize(self.seen.features(y, t), dim=1)

        def cosine(draw: int) -> Tensor:
            theirs = self.wanted
            if theirs is None:
                theirs = source.features(self.seen, t, draw)
            return (ours * normalize(theirs.to(ours), dim=1)).sum(1)

        return 1 - (cosine(0) if self.wanted is not None else source.average(cosine))


def load_clip(
    weights: str | Path | None,
    prompt: str | None = None,
    image: str | Path | None = None,
) -> CLIP:
    """CLIP of a folder that `save_pretrained` wrote, or of the hub.

    prompt: what the result should show. image: a picture that it should be like. ValueError where
    both are given, or something is not to be had.
    """
    if prompt is not None and image is not None:
        raise ValueError("energy/term=clip takes a prompt or an image, not both; use two terms")
    net, folder = opened(weights, "CLIPModel", "clip", "vision_config")
    seen = Seen(net, _seen, net.config.vision_config.image_size, *normalisation(folder, MEAN, STD))
    if prompt is not None:
        return CLIP(seen, _said(net, folder, prompt))
    return CLIP(seen, None if image is None else _shown(seen, Path(image).expanduser()))


def _seen(net: Any, x: Tensor) -> Tensor:
    return _plain(net.get_image_features(pixel_values=x))


def _plain(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else found.pooler_output  # since transformers 5


@torch.no_grad()
def _said(net: Any, folder: Path, prompt: str) -> Tensor:
    from transformers import CLIPTokenizer

    tokenizer = read_tokenizer(folder, CLIPTokenizer)
    tokens = tokens_of(tokenizer, prompt, net.config.text_config)
    return _plain(net.get_text_features(**tokens))


@torch.no_grad()
def _shown(seen: Seen, path: Path) -> Tensor:
    try:
        with open_picture(picture_bytes(path)) as picture:
            x = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float()[None]
    except (OSError, ValueError) as error:
        raise ValueError(f"energy/term=clip image={path} cannot be opened: {error}") from error
    return seen.features(x / 127.5 - 1)
