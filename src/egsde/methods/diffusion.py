"""Translators (x0, noise, **cond) -> y: a start, a score, a sampler and a constraint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from egsde.noise import Noise
from egsde.sampling.sampler import Constraint, Sampler
from egsde.scores import Score, process_of
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.source import Source, check_mode

Start = Callable[[Source, Tensor, Noise], Tensor]  # (source, times, noise) -> y at times[0]


class Translator(Protocol):
    """x0, noise and what came with the image (mask, ...) -> y.

    `steps`, the evaluations of a field `score`, may be there too: the progress bar reads it.
    """

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor: ...


def steps_of(translator: Translator) -> int:
    """Evaluations of the score that it says an image costs (`steps`); 0 where it does not say."""
    return getattr(translator, "steps", 0)


def noised(source: Source, times: Tensor, noise: Noise) -> Tensor:
    """y = alpha x + sigma eps at times[0]: the source, or the previous result when repeated."""
    return source.start(times[0])


def prior(source: Source, times: Tensor, noise: Noise) -> Tensor:
    """y = sigma eps at times[0]: pure noise; the source only gives shape and names."""
    eps = noise.stream("start")(source.x0)
    return (source.sde.sigma(times[0]) * eps).to(eps.dtype)


@dataclass(frozen=True)
class Diffusion:
    """Every diffusion translation method; `methods` names the papers' choices.

    x0 and the result are (B, C, H, W), unclamped. repeats: translate the result again with new
    noise; as in the official code (runners/egsde.py) the start then perturbs the previous result,
    while x_t keeps noising the original x0. t_start: a time of the score's process, in its own
    units (a share of [0, 1], but a noise level for EDM); None is its T. ValueError if the process
    has no such time, the score knows no process or source_noise is unknown.
    """

    score: Score
    sampler: Sampler
    constraint: Constraint | None = None
    start: Start = noised
    t_start: float | None = None
    source_noise: str = "shared"
    repeats: int = 1

    def __post_init__(self) -> None:
        check_mode(self.source_noise)
        _ = self.times
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")

    @property
    def sde(self) -> SDE:
        """The score's process."""
        return process_of(self.score)

    @property
    def times(self) -> Tensor:
        """The grid of one repeat, float64 (n + 1,)."""
        start = self.sde.T if self.t_start is None else self.t_start
        return self.sampler.times(self.sde, start)

    @property
    def steps(self) -> int:
        """Solver steps down of one translation, all repeats together."""
        return self.repeats * int((self.times.diff() < 0).sum())

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        return deque(self.trajectory(x0, noise, **cond), maxlen=1).pop()[2]

    @torch.inference_mode(False)
    @torch.no_grad()
    def trajectory(
        self, x0: Tensor, noise: Noise, **cond: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t, y) of every state, one repeat after the other."""
        times = self.times
        y = x0
        for k in range(self.repeats):
            fresh = noise.child(k)
            source = Source(x0, self.sde, fresh, self.source_noise, cond, current=y)
            reverse = Reverse.given(self.sde, self.score, source)
            y = self.start(source, times, fresh)
            states = self.sampler.trajectory(reverse, y, times, fresh, self.constraint, source)
            for i, t, y in states:
                yield i, t, y


@dataclass(frozen=True)
class OnePass:
    """y = net(x0): a generator or a filter as a translator."""

    net: Callable[[Tensor], Tensor]
    steps: int = 1

    @torch.no_grad()
    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        return self.net(x0)


def networks_of(part: Any, name: str = "translator") -> dict[str, nn.Module]:
    """The networks inside a translator by the name of what holds them, each once.

    Looked for in objects, mappings, sequences and partials, of ours or not. A second network under
    the same name is called after the part that holds it, too: a start's score is "start_score".
    """
    return _networks_of(part, name, set())


def _networks_of(part: Any, name: str, seen: set[int]) -> dict[str, nn.Module]:
    if isinstance(part, nn.Module):
        return {name: part}
    if id(part) in seen or isinstance(part, (type, ModuleType, FunctionType)):
        return {}
    seen.add(id(part))
    if isinstance(part, Mapping):
        parts = {str(key): value for key, value in part.items()}
    elif isinstance(part, (list, tuple)):
        parts = {f"{name}_{i}": value for i, value in enumerate(part)}
    else:
        parts = {**getattr(part, "__dict__", {}), **getattr(part, "keywords", {})}
    found: dict[str, nn.Module] = {}
    for field, value in parts.items():
        for key, network in _networks_of(value, field, seen).items():
            if all(network is not other for other in found.values()):
                found[key if key not in found else f"{field}_{key}"] = network
    return found
