"""Every random number of a translation: one independent stream per image, key and draw.

Row b of a draw depends only on (seed, ids[b], child path, key, draw number), so an image gets the
same noise alone, in any batch, in any order, after a resume and on any number of devices.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import torch
from torch import Tensor

Randn = Callable[[Tensor], Tensor]  # a randn_like


class Streams(Protocol):
    """Where a run's random numbers come from: `Noise`, or recorded ones."""

    def stream(self, key: str) -> Randn: ...
    def child(self, key: object) -> Streams: ...


def keyed_generator(*names: object, device: str = "cpu") -> torch.Generator:
    """A generator that depends on these names only."""
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


@dataclass(frozen=True)
class Noise:
    """Keyed noise for the images `ids` (one id per row of what is drawn).

    device is where numbers are generated: streams of "cpu" are identical everywhere; a CUDA
    device saves the copy but gives other numbers.
    """

    seed: int
    ids: Sequence[str]
    path: tuple[str, ...] = ()
    device: str = "cpu"

    def stream(self, key: str) -> Randn:
        """A randn_like whose n-th call on the same stream is draw n of (seed, id, path, key)."""
        draws = count()

        def randn_like(x: Tensor) -> Tensor:
            if len(x) != len(self.ids):
                raise ValueError(
                    f"noise for {len(self.ids)} image ids was asked for a batch of {len(x)}; "
                    "pass one id per image"
                )
            draw = next(draws)
            rows = [self.row(x, image, key, draw) for image in self.ids]
            return torch.stack(rows).to(x.device)

        return randn_like

    def child(self, key: object) -> Noise:
        """An independent family: a repeat, or another sample of the same images."""
        return replace(self, path=(*self.path, str(key)))

    def row(self, x: Tensor, image: str, key: str, draw: int) -> Tensor:
        """What one image of the batch x gets of a draw."""
        names = (self.seed, str(image), self.path, key, draw)
        generator = keyed_generator(*names, device=self.device)
        return torch.randn(x.shape[1:], generator=generator, dtype=x.dtype, device=self.device)


@dataclass(frozen=True)
class Replay:
    """Recorded noises in place of `Noise`: records["0/start"] lists the draws of stream "start"
    of child 0, in order."""

    records: Mapping[str, Sequence[Tensor]]
    path: str = ""

    def stream(self, key: str) -> Randn:
        """The recorded numbers of a name; ValueError where it has none."""
        name = f"{self.path}{key}"
        if name not in self.records:
            raise ValueError(f"no recorded noise {name!r}; recorded are {sorted(self.records)}")
        draws = iter(self.records[name])

        def randn_like(x: Tensor) -> Tensor:
            return next(draws).to(x)

        return randn_like

    def child(self, key: object) -> Replay:
        return replace(self, path=f"{self.path}{key}/")
