"""Degradations of clean images: what is left of one is the condition that it is restored from.

A degradation (image (3, H, W) in [-1, 1], generator) -> Degraded draws only from the generator.
Tasks and ranges are Palette's (Saharia 2022, arXiv 2111.05826), `Shrink` is SR3's (Saharia 2021).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from egsde.data.degradations.masks import Border, Either, Mask
from egsde.linear.filters import LowPass, cubic


@dataclass(frozen=True)
class Degraded:
    """condition (3, H, W); known (1, H, W): 1 where it shows the clean pixel, 0 elsewhere."""

    condition: Tensor
    known: Tensor


Degradation = Callable[[Tensor, torch.Generator], Degraded]


def _coloured(who: object, image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(
            f"{who} degrades one image of three channels, (3, H, W), got {tuple(image.shape)}"
        )
    return image


def _unknown(condition: Tensor) -> Degraded:
    return Degraded(condition, torch.zeros_like(condition[:1]))


def _hidden(image: Tensor, known: Tensor, generator: torch.Generator) -> Degraded:
    """Noise where nothing is known."""
    known = known.to(image)
    noise = torch.randn(image.shape, generator=generator, dtype=image.dtype)
    return Degraded(torch.where(known > 0, image, noise), known)


@dataclass(frozen=True)
class Inpaint:
    """Pixels hidden by a random mask: `Rectangle`, `Strokes`, `Both` or `Either` of them.
    ValueError for images below 4 x 4."""

    mask: Mask = Either()

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        height, width = _coloured(self, image).shape[1:]
        if min(height, width) < 4:
            raise ValueError(f"{self} needs images of 4x4 pixels at least, got {height}x{width}")
        return _hidden(image, self.mask(height, width, generator), generator)


@dataclass(frozen=True)
class Uncrop(Inpaint):
    """The border hidden, at all sides or at one: see `Border`."""

    mask: Mask = Border()


@dataclass(frozen=True)
class Colourise:
    """Grey, in all three channels: the luma of ITU-R BT.601, as in Pillow."""

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        weights = torch.tensor([0.299, 0.587, 0.114]).to(image)[:, None, None]
        grey = (weights * _coloured(self, image)).sum(0, keepdim=True)
        return _unknown(grey.expand_as(image).contiguous())


@dataclass(frozen=True)
class JPEG:
    """Saved and read by Pillow, with a quality drawn uniformly from low..high (Palette: 5..30).
    ValueError outside 1 <= low <= high <= 95."""

    low: int = 5
    high: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high <= 95:
            raise ValueError(f"JPEG needs 1 <= low <= high <= 95, got {self.low} and {self.high}")

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        pixels = ((_coloured(self, image) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        quality = int(torch.randint(self.low, self.high + 1, (), generator=generator))
        file = io.BytesIO()
        Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(
            file, "JPEG", quality=quality
        )
        read = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        return _unknown((read.to(image) / 127.5 - 1).contiguous())


@dataclass(frozen=True)
class Shrink:
    """Shrunk by `factor` (anti-aliased) and enlarged again, both bicubic; cut to [-1, 1].
    ValueError for a factor below 2."""

    factor: int = 4

    def __post_init__(self) -> None:
        if self.factor < 2:
            raise ValueError(f"Shrink needs a factor of at least 2, got {self.factor}")

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        blurred = LowPass(self.factor, cubic)(_coloured(self, image)[None])[0]
        return _unknown(blurred.clamp(-1, 1))


@dataclass(frozen=True)
class Painted:
    """A painting of few strokes: a median filter, then so many colours (SDEdit, Meng 2022, which
    has 23 px at 256 px and 6 colours). size: of the filter, as a share of the side. ValueError
    outside 2 to 256 colours and sizes in (0, 1)."""

    colours: int = 6
    size: float = 0.09

    def __post_init__(self) -> None:
        if not 2 <= self.colours <= 256 or not 0 < self.size < 1:
            raise ValueError(
                f"Painted needs 2 to 256 colours and a size in (0, 1), got {self.colours} and "
                f"{self.size}"
            )

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        pixels = ((_coloured(self, image) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        side = 2 * round(self.size * min(image.shape[1:]) / 2) + 1  # odd
        blurred = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).filter(
            ImageFilter.MedianFilter(side)
        )
        few = blurred.quantize(self.colours, dither=Image.Dither.NONE).convert("RGB")
        read = torch.from_numpy(np.array(few)).permute(2, 0, 1)
        return _unknown((read.to(image) / 127.5 - 1).contiguous())


@dataclass(frozen=True)
class OneOf:
    """One of several degradations, by their names, each as likely; ValueError for none."""

    tasks: Mapping[str, Degradation]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("OneOf needs at least one degradation, got none")

    def __call__(self, image: Tensor, generator: torch.Generator) -> Degraded:
        names = sorted(self.tasks)  # a configuration may list them in any order
        chosen = int(torch.randint(len(names), (), generator=generator))
        return self.tasks[names[chosen]](image, generator)


def degrade_all(
    degradation: Degradation, images: Tensor, generators: Iterable[torch.Generator]
) -> Degraded:
    """Each image of a batch (B, 3, H, W), with its own generator: conditions like it, known
    (B, 1, H, W)."""
    done = [degradation(*each) for each in zip(images.cpu(), generators, strict=True)]
    condition = torch.stack([one.condition for one in done]).to(images)
    return Degraded(condition, torch.stack([one.known for one in done]).to(images))
