"""Large pictures in overlapping tiles (MultiDiffusion: Bar-Tal 2023, arXiv 2302.08113).

At every evaluation a network sees the tiles of the whole state, a few at a time, and what it says
of them is averaged with smooth weights:

    net(x) = sum_k w_k net(x_k) / sum_k w_k        x_k: tile k of x; w = sin^2 in both directions

States, noise, low passes and constraints stay whole: a pixel has one noise and one state, so there
are no seams to be hidden. Features of a classifier are put together alike. Memory is that of the
picture and of `batch` tiles, in the backward pass, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from egsde.methods.diffusion import Translator, networks_of, steps_of
from egsde.noise import Noise

Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Tiled:
    """A translator whose networks see tiles of `size` pixels that share `overlap` with the next.

    batch: tiles at a time; shift: where the second tile begins earlier, which changes little.
    ValueError for tiles that do not overlap, or that the networks' halvings do not divide.
    """

    translator: Translator
    size: int
    overlap: int
    batch: int = 16
    shift: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.size or self.batch < 1:
            raise ValueError(
                f"tiles of {self.size} px that share {self.overlap} with the next, {self.batch} at "
                "a time: give 0 < overlap < size, and a batch of at least 1"
            )
        if not 0 <= self.shift < self.size - self.overlap:
            raise ValueError(
                f"tiles.shift={self.shift} is past a whole tile; give 0 to "
                f"{self.size - self.overlap - 1}"
            )
        for name, network in networks_of(self.translator).items():
            multiple = multiple_in(network)
            if any(n % multiple for n in (self.size, self.overlap, self.shift)):
                raise ValueError(
                    f"the {name} halves its images: tiles.size={self.size}, overlap="
                    f"{self.overlap} and shift={self.shift} must be multiples of {multiple}"
                )

    @property
    def steps(self) -> int:
        return steps_of(self.translator)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        with ExitStack() as patched:
            for network in networks_of(self.translator).values():
                net = getattr(network, "net", network)
                patched.enter_context(self.seeing(net, "forward"))
                if hasattr(net, "features"):
                    patched.enter_context(self.seeing(net, "features"))
            return self.translator(x0, noise, **cond)

    @contextmanager
    def seeing(self, net: nn.Module, name: str) -> Iterator[None]:
        """The network sees tiles for a while."""
        whole = getattr(net, name)
        # An attribute of the module itself goes before the method of its class.
        object.__setattr__(net, name, lambda x, *rest: self.averaged(whole, x, *rest))
        try:
            yield
        finally:
            object.__delattr__(net, name)

    def averaged(self, net: Network, x: Tensor, *rest: Tensor) -> Tensor:
        """net(x, *rest) of an image (B, C, H, W) from its tiles."""
        height, width = x.shape[-2:]
        high, wide = min(self.size, height), min(self.size, width)
        places = list(product(self.starts(height, high), self.starts(width, wide)))
        if len(places) == 1:
            return net(x, *rest)
        total = weights = None
        for first in range(0, len(places), self.batch):
            some = places[first : first + self.batch]
            found = _of_tiles(net, x, some, (high, wide), rest)
            scale = high // found.shape[-2]  # features have fewer pixels
            window = _window(found.shape[-2:]).to(found)
            if total is None or weights is None:
                sides = height // scale, width // scale
                total = found.new_zeros(len(x), found.shape[1], *sides)
                weights = found.new_zeros(sides)
            for (top, left), tile in zip(some, found.split(len(x)), strict=True):
                rows = slice(top // scale, top // scale + found.shape[-2])
                columns = slice(left // scale, left // scale + found.shape[-1])
                total[..., rows, columns] += window * tile
                weights[rows, columns] += window
        assert total is not None and weights is not None
        return total / weights

    def starts(self, length: int, size: int) -> list[int]:
        """Where the tiles of one direction begin; the last ends with the picture."""
        step = self.size - self.overlap
        inner = range(step - self.shift, length - size, step)
        return sorted({0, *inner, length - size})


def multiple_in(network: nn.Module) -> int:
    """What the sides of its images have to be multiples of."""
    return math.lcm(*(int(getattr(part, "multiple", 1)) for part in network.modules()))


def _of_tiles(
    net: Network, x: Tensor, places: list[tuple[int, int]], sides: tuple[int, int], rest: Any
) -> Tensor:
    """The network at tiles, one after another, of all images; recomputed in a backward pass."""

    def run(image: Tensor) -> Tensor:
        tiles = [image[..., t : t + sides[0], l : l + sides[1]] for t, l in places]
        more = [r.repeat(len(places), *[1] * (r.ndim - 1)) for r in rest]
        return net(torch.cat(tiles), *more)

    if torch.is_grad_enabled() and x.requires_grad:
        return checkpoint(run, x, use_reentrant=False)  # type: ignore[no-any-return]
    return run(x)


def _window(sides: torch.Size) -> Tensor:
    """sin^2 in both directions, above zero everywhere: (h, w)."""
    rows, columns = (
        torch.sin(math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n).square() + 1e-3
        for n in sides
    )
    return torch.outer(rows, columns)
