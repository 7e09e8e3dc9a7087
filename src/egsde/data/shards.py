"""Which images come in which batch: never padded, a function of (seed, step, rank) alone.

Every domain is an endless stream, one shuffled pass after another. Step g takes the next
world * count images of it, rank r the r-th part: ranks never overlap, every image comes up equally
often, and a resumed run draws what an uninterrupted one would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import DataLoader, Sampler

Draw = tuple[int, int, bool]  # domain, index, flipped


def shard(count: int, rank: int = 0, world: int = 1) -> list[int]:
    """Indices of one rank when images are dealt out in turn: rank, rank + world, ..."""
    return list(range(rank, count, world))


def evenly(total: int, parts: int) -> list[int]:
    """A batch dealt out to the domains, the first ones getting what is left over."""
    if total < parts:
        raise ValueError(
            f"batch_size={total} is too small for {parts} domains; use {parts} or more"
        )
    return [total // parts + (part < total % parts) for part in range(parts)]


class Stream:
    """Shuffled passes over `count` images; a pass depends on (seed, domain, pass) only."""

    def __init__(self, domain: int, count: int, seed: int, flip: bool) -> None:
        self.domain, self.count, self.seed, self.flip = domain, count, seed, flip
        self.held = (-1, np.empty(0, int), np.empty(0, bool))

    def at(self, position: int) -> Draw:
        """The draw at one position of the stream."""
        turn, place = divmod(position, self.count)
        if self.held[0] != turn:
            generator = np.random.default_rng([self.seed, self.domain, turn])
            order = generator.permutation(self.count)
            self.held = (turn, order, generator.random(self.count) < 0.5)
        _, order, flips = self.held
        return self.domain, int(order[place]), bool(self.flip and flips[place])


class Batches(Sampler[list[Draw]]):
    """Batch sampler over several domains; one epoch sees the largest domain about once.

    sizes: images of each domain; counts: how many of each come in one rank's batch.
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
    ) -> None:
        self.streams = [Stream(k, n, seed, flip) for k, n in enumerate(sizes)]
        self.counts, self.rank, self.world = list(counts), rank, world
        pairs = zip(sizes, counts, strict=True)
        self.length = max(-(-n // (count * world)) for n, count in pairs)
        self.epoch = self.start = 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def batch(self, step: int) -> list[Draw]:
        """This rank's draws at a global step, domain after domain."""
        return [
            stream.at((step * self.world + self.rank) * count + place)
            for stream, count in zip(self.streams, self.counts, strict=True)
            for place in range(count)
        ]

    def __iter__(self) -> Iterator[list[Draw]]:
        start, self.start = self.start, 0
        for place in range(start, self.length):
            yield self.batch(self.epoch * self.length + place)


class ResumableLoader(DataLoader):
    """DataLoader over Batches that Lightning can save and resume in the middle of an epoch."""

    seen = (0, 0)  # epoch and number of batches given out in it
    resumed: tuple[int, int] | None = None

    def __iter__(self) -> Iterator:  # type: ignore[override]
        # A generator, so that nothing is drawn before Lightning has called set_epoch.
        batches: Batches = self.batch_sampler  # type: ignore[assignment]
        epoch, (saved, done) = batches.epoch, self.resumed or (-1, 0)
        self.resumed = None
        batches.start = start = done if saved == epoch else 0
        for place, batch in enumerate(super().__iter__(), start + 1):
            self.seen = epoch, place
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.seen[0], "done": self.seen[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.seen = self.resumed = state["epoch"], state["done"]
