"""Which images come in which batch: never padded, a function of (seed, step, rank) alone.

Every domain is an endless stream, one shuffled pass after another. Step g takes the next
world * count images of it, rank r the r-th part: ranks never overlap, every image comes up equally
often, and a resumed run draws what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from egsde.data.workers import Loader

Draw = tuple  # domain, index, flipped; then, of random crops, the place: two numbers in [0, 1)


def shard(count: int, rank: int = 0, world: int = 1) -> list[int]:
    """Indices of one rank when images are dealt out in turn: rank, rank + world, ..."""
    return list(range(rank, count, world))


def batches_trained(trainer: Any) -> int:
    """How many batches a trainer has made steps of: where its data goes on."""
    return 0 if trainer is None else trainer.global_step * trainer.accumulate_grad_batches


def of_one_shape(
    indices: Sequence[int], shapes: Sequence[tuple[int, int]], size: int
) -> list[list[int]]:
    """Batches of at most `size` of the indices, each of one shape, in their order."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, shape in zip(indices, shapes, strict=True):
        groups.setdefault(shape, []).append(index)
    return [g[i : i + size] for g in groups.values() for i in range(0, len(g), size)]


def evenly(total: int, parts: int) -> list[int]:
    """A batch dealt out to the domains, the first ones getting what is left over. ValueError for
    a batch smaller than the number of domains."""
    if total < parts:
        raise ValueError(
            f"batch_size={total} is too small for {parts} domains; use {parts} or more"
        )
    return [total // parts + (part < total % parts) for part in range(parts)]


class Stream:
    """Shuffled passes over `count` images; a pass depends on (seed, domain, pass) only."""

    def __init__(
        self, domain: int, count: int, seed: int, flip: bool, places: bool = False
    ) -> None:
        self.domain, self.count, self.seed, self.flip = domain, count, seed, flip
        self.places = places
        self.held = (-1, np.empty(0, int), np.empty(0, bool))

    def at(self, position: int) -> Draw:
        """The draw at one position of the stream."""
        turn, place = divmod(position, self.count)
        if self.held[0] != turn:
            generator = np.random.default_rng([self.seed, self.domain, turn])
            order = generator.permutation(self.count)
            self.held = (turn, order, generator.random(self.count) < 0.5)
        _, order, flips = self.held
        draw = self.domain, int(order[place]), bool(self.flip and flips[place])
        if not self.places:
            return draw
        crops = np.random.default_rng([self.seed, self.domain, turn, place, 1]).random(2)
        return *draw, tuple(crops.tolist())


class Batches(Sampler[list[Draw]]):
    """Batch sampler over several domains: an endless stream, so that nothing ends with an epoch.

    sizes: images of each domain; counts: how many of each come in one rank's batch; start: the
    batch to begin with, asked when the iteration begins; places: draws have places of random
    crops. `turn` batches see the largest domain
    about once.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        counts: Sequence[int],
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        flip: bool = False,
        start: Callable[[], int] = int,
        places: bool = False,
    ) -> None:
        self.streams = [Stream(k, n, seed, flip, places) for k, n in enumerate(sizes)]
        self.counts, self.rank, self.world, self.start = list(counts), rank, world, start
        pairs = zip(sizes, counts, strict=True)
        self.turn = max(-(-n // (share * world)) for n, share in pairs)

    def batch(self, step: int) -> list[Draw]:
        """This rank's draws at a global step, domain after domain."""
        return [
            stream.at((step * self.world + self.rank) * share + place)
            for stream, share in zip(self.streams, self.counts, strict=True)
            for place in range(share)
        ]

    def __iter__(self) -> Iterator[list[Draw]]:
        return map(self.batch, count(self.start()))


class ResumableLoader(Loader):
    """An endless Loader over Batches, which know themselves where to begin.

    What a training loop asks of a loader that can be resumed: there is nothing to keep.
    """

    def __iter__(self) -> Iterator:  # type: ignore[override]
        yield from super().__iter__()  # a generator: begins with the first batch asked for

    def state_dict(self) -> dict[str, int]:
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        pass
