"""What an image's sides have to be multiples of: halvings of networks, factors of low passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from egsde.methods.diffusion import Translator, networks_of, steps_of
from egsde.noise import Noise
from egsde.programs import latents
from egsde.programs.build import Parts
from egsde.programs.inputs import codec_of, parts_of


def multiple_of(translator: Any) -> int:
    """The least common multiple over a translator's networks (`multiple`) and filters (`factor`),
    of pixels where they see a codec's latents.

    A network that does not say is taken to accept every size.
    """
    codec = codec_of(translator)
    parts = (part for part in parts_of(translator, set()) if part is not codec)
    found = [getattr(part, "factor", 1) for part in parts]
    for network in networks_of(translator).values():
        found += [getattr(part, "multiple", 1) for part in network.modules()]
    least = math.lcm(*(value for value in found if isinstance(value, int) and value > 0))
    return least * int(getattr(codec, "factor", 1))


@dataclass(frozen=True)
class Padded:
    """A translator of images of any sides: edges are repeated below and on the right up to the next
    multiple, and cut off again."""

    translator: Translator
    multiple: int

    @property
    def steps(self) -> int:
        return steps_of(self.translator)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        height, width = x0.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        if not below and not right:
            return self.translator(x0, noise, **cond)

        def wider(x: Tensor) -> Tensor:
            fits = x.ndim == 4 and x.shape[-2:] == (height, width)
            return F.pad(x, (0, right, 0, below), mode="replicate") if fits else x

        y = self.translator(wider(x0), noise, **{name: wider(x) for name, x in cond.items()})
        return y[..., :height, :width]


def padded(translator: Translator) -> Translator:
    """The translator for images of any sides."""
    multiple = multiple_of(translator)
    return translator if multiple == 1 else Padded(translator, multiple)


def translator_of(parts: Parts) -> Translator:
    """A configuration's translator: in the space of its codec, and in tiles where translator/tiles=
    asks for them."""
    translator, tiled = latents.translator_of(parts), parts("tiles")
    return translator if tiled is None else tiled(translator)
