"""A sampler that is watched: the same states, each shown to somebody on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from egsde.noise import Streams
from egsde.sampling.sampler import Constraint, Sampler, Walk
from egsde.sde.reverse import Reverse
from egsde.source import Source

Tell = Callable[[Walk, int, Tensor, Tensor], None]  # (walk, i, t_i, x_i)


@dataclass(frozen=True)
class Watched(Sampler):
    """A sampler that calls tell(walk, i, t, x) at every state, before it goes on from it. Noise is
    keyed, so what the watcher evaluates changes no later state."""

    tell: Tell | None = None

    @torch.inference_mode(False)
    @torch.no_grad()
    def trajectory(
        self,
        reverse: Reverse,
        x: Tensor,
        times: Tensor,
        noise: Streams,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        walk = Walk(self, reverse, times, noise, constraint, source)
        for i, t, y in walk.trajectory(x):
            if self.tell is not None:
                self.tell(walk, i, t, y)
            yield i, t, y


def watched(part: Any, tell: Tell) -> Any:
    """The same translator with every sampler in it watched; itself where it has none."""
    if isinstance(part, (list, tuple)):
        inner = [watched(value, tell) for value in part]
        same = all(new is old for new, old in zip(inner, part, strict=True))
        return part if same else type(part)(inner)
    if not is_dataclass(part) or isinstance(part, (type, torch.nn.Module)):
        return part
    if type(part) is Sampler:
        return Watched(part.solver, part.grid, part.denoise, tell)
    values = {f.name: getattr(part, f.name) for f in fields(part) if f.init}
    new = {name: watched(value, tell) for name, value in values.items()}
    changed = {name: value for name, value in new.items() if value is not values[name]}
    return replace(part, **changed) if changed else part
