"""A batch's random numbers, by the image's place in the global batch or by its id.

So two processes with batches of 4 draw for their eight images what one process with 8 draws, and a
run that goes on what an uninterrupted one draws. Numbers inside a network (dropout) and inside a
sliced objective are the process's own, seeded by step and rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Protocol

import torch
from torch import Tensor

from egsde.noise import Noise, keyed_generator

BLOCK = 8  # places whose numbers are drawn together


class Draws(Protocol):
    """A row for each image: normal (like x), uniform (B, 1, 1, 1) in [0, 1), or a generator."""

    def normal(self, x: Tensor) -> Tensor:
        """N(0, 1), like x (B, ...)."""
        ...

    def uniform(self, x: Tensor) -> Tensor:
        """float64 (B, 1, 1, 1) in [0, 1), on the device of x."""
        ...

    def generators(self, images: int) -> list[torch.Generator]:
        """On the CPU, one for each of so many images."""
        ...


class Unkeyed:
    """From the global generator: outside of training."""

    def normal(self, x: Tensor) -> Tensor:
        return torch.randn_like(x)

    def uniform(self, x: Tensor) -> Tensor:
        return torch.rand(len(x), 1, 1, 1, device=x.device, dtype=torch.float64)

    def generators(self, images: int) -> list[torch.Generator]:
        return [keyed_generator(int(torch.randint(2**62, ()))) for _ in range(images)]


class ByPlace:
    """key: what the numbers depend on beside the place. parts: (stream, first place, images) in
    the order of the rows."""

    def __init__(self, key: Sequence[object], parts: Iterable[tuple[int, int, int]]) -> None:
        self.key, self.parts, self.calls = tuple(key), list(parts), count()

    def normal(self, x: Tensor) -> Tensor:
        return self._drawn(torch.randn, x.shape[1:], x.dtype, x.device)

    def uniform(self, x: Tensor) -> Tensor:
        return self._drawn(torch.rand, (1, 1, 1), torch.float64, x.device)

    def generators(self, images: int) -> list[torch.Generator]:
        call = next(self.calls)
        return [
            keyed_generator(*self.key, call, stream, place)
            for stream, first, images in self.parts
            for place in range(first, first + images)
        ]

    def _drawn(
        self, draw: Any, shape: Sequence[int], dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        call, rows = next(self.calls), []
        for stream, first, images in self.parts:
            blocks = range(first // BLOCK, -(-(first + images) // BLOCK))
            drawn = []
            for block in blocks:
                key = (*self.key, call, stream, block)
                generator = keyed_generator(*key, device=device.type)
                options = {"generator": generator, "dtype": dtype, "device": device}
                drawn.append(draw((BLOCK, *shape), **options))
            skipped = first - blocks.start * BLOCK
            rows.append(torch.cat(drawn)[skipped : skipped + images])
        return torch.cat(rows)


class ById:
    """By the images' names: the same in any batch, for validation."""

    def __init__(self, seed: int, ids: Sequence[str]) -> None:
        self.noise, self.calls = Noise(seed, ids).child("val"), count()

    def normal(self, x: Tensor) -> Tensor:
        return self.noise.stream(str(next(self.calls)))(x)

    def uniform(self, x: Tensor) -> Tensor:
        one = torch.empty(len(x), 1, 1, 1, dtype=torch.float64, device=x.device)
        return torch.special.ndtr(self.normal(one)).clamp(max=1 - 1e-12)

    def generators(self, images: int) -> list[torch.Generator]:
        call = next(self.calls)
        return [keyed_generator(self.noise.seed, call, name) for name in self.noise.ids]


def places(batch: Any, rank: int) -> list[tuple[int, int, int]]:
    """Where a rank's rows stand in the streams of a training batch: domain after domain, if any."""
    if "label" not in batch:
        images = len(next(iter(batch.values())))
        return [(0, rank * images, images)]
    counts = batch["label"].bincount().tolist()
    return [(k, rank * images, images) for k, images in enumerate(counts) if images]
