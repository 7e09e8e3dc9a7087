"""Frozen networks that others have trained, as energies see images: CLIP, LPIPS and DINO.

A network takes (B, 3, s, s) of its own side and normalisation; x is (B, C, H, W) in [-1, 1]. They
are asked as an extractor is, `features(x, t)`, so that a source keeps its own for a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from egsde.networks.folders import read_json, read_transformer, there
from egsde.scores.diffusers import diffusers_folder

EXTRA = "perceptual"


def coloured(x: Tensor) -> Tensor:
    """Three channels; ValueError for images of neither one nor three."""
    if x.shape[1] not in (1, 3):
        raise ValueError(
            f"a network of photographs sees images of 1 or 3 channels, got {x.shape[1]}; in latent "
            "space put the term inside energy/term=decoded"
        )
    return x.expand(-1, 3, -1, -1)


def resized(x: Tensor, side: int) -> Tensor:
    """(B, C, side, side); x itself where it has that side."""
    if x.shape[-2:] == (side, side):
        return x
    shrinks = min(x.shape[-2:]) > side
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=shrinks)


@dataclass(frozen=True, eq=False)
class Seen:
    """look(network, normalised image) of images; mean and std are of values in [0, 1]."""

    net: nn.Module
    look: Callable[[Any, Tensor], Tensor]
    side: int
    mean: Sequence[float]
    std: Sequence[float]

    def features(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        net = self.net.to(x.device)
        parameter = next(net.parameters())
        seen = resized(coloured(x), self.side).to(parameter) / 2 + 0.5
        mean, std = (seen.new_tensor(list(v))[:, None, None] for v in (self.mean, self.std))
        return self.look(net, (seen - mean) / std).to(x.dtype)


def opened(weights: str | Path | None, kind: str, term: str, needs: str) -> tuple[Any, Path]:
    """A network of transformers from a folder or the hub, frozen, and its folder.

    kind: its class, such as CLIPModel. needs: a setting that its configuration must have.
    ValueError where the package is absent or the folder holds something else.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"energy/term={term} needs the package transformers: pip install 'egsde[{EXTRA}]'"
        ) from error
    folder = diffusers_folder(weights, f"energy.terms.NAME.weights of energy/term={term}", EXTRA)
    config = read_json(folder / "config.json")
    if needs not in config:
        raise ValueError(
            f"{folder} is of a {config.get('model_type', 'model')} and energy/term={term} takes "
            f"a {kind}, which has a {needs}"
        )
    transformers.utils.logging.disable_progress_bar()
    return read_transformer(folder, kind), folder


def normalisation(
    folder: Path, mean: Sequence[float], std: Sequence[float]
) -> tuple[Sequence[float], Sequence[float]]:
    """image_mean and image_std of a folder's preprocessor_config.json; else what is given.

    ValueError where they are none of three channels.
    """
    file = folder / "preprocessor_config.json"
    said = read_json(file) if there(file) else {}
    found = said.get("image_mean", mean), said.get("image_std", std)
    for values, least in zip(found, (-math.inf, 0), strict=True):
        if not (isinstance(values, (list, tuple)) and len(values) == 3
                and all(isinstance(v, float) or v in (0, 1) for v in values)
                and all(math.isfinite(v) and v > least for v in values)):  # fmt: skip
            raise ValueError(f"{file}: {values!r:.80} are no mean and deviation of three channels")
    return found
