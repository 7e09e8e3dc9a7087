"""Exact gradients from few kept states: a step is made again when the backward pass reaches it.

Chen 2016 (arXiv 1604.06174). Noise is keyed and a generator that dropout drew from is put back, so
a step made again is the same step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import checkpoint

from egsde.sampling.sampler import Move, Walk
from egsde.solvers.base import Carry
from egsde.training.in_loop.base import made


def _generators(device: torch.device) -> list[Tensor]:
    on_device = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_device]


def _repeatable(device: torch.device) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of a step and of the same step made again. The generators' states, 5 kB each, are
    kept only where the step changed them: else they outweigh small images."""
    kept: list[list[Tensor]] = []

    @contextmanager
    def first() -> Iterator[None]:
        before = _generators(device)
        yield
        after = _generators(device)
        if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
            kept.append(before)

    @contextmanager
    def again() -> Iterator[None]:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            for state, *on_device in kept:
                torch.set_rng_state(state)
                for found in on_device:
                    torch.cuda.set_rng_state(found, device)
            yield

    return first(), again()


def _kept_between(moves: Sequence[Move], segment: int) -> list[Move]:
    """One move for every `segment` of them, of which only the first state is kept.

    What a solver carries is handed over as tensors: those inside of it would be kept by a
    checkpoint within a checkpoint, one for every step.
    """

    def joined(part: Sequence[Move]) -> Move:
        def move(x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
            carried, structure = tree_flatten(carry)

            def from_parts(x: Tensor, *carried: Any) -> tuple[Tensor, Carry]:
                return made(part, x, tree_unflatten(carried, structure))

            return checkpoint(
                from_parts,
                x,
                *carried,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=lambda: _repeatable(x.device),
            )

        return move

    return [joined(moves[i : i + segment]) for i in range(0, len(moves), segment)]


@dataclass(frozen=True)
class Checkpointed:
    """Keeps the state before every `segment` steps: n / segment states and, in the backward pass,
    what `segment` steps keep. One more evaluation of each step. ValueError unless segment >= 1."""

    segment: int = 1

    def __post_init__(self) -> None:
        if self.segment < 1:
            raise ValueError(f"{self} has no steps in a segment; use segment >= 1")

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        moves = [move for _, move in walk.moves()]
        return made(_kept_between(moves, self.segment), x)[0]


@dataclass(frozen=True)
class SquareRoot:
    """Keeps 2 sqrt(n) states and one step: the state before every sqrt(n) steps and, in the
    backward pass, those inside the segment in turn. Two more evaluations of each step."""

    def __call__(self, walk: Walk, x: Tensor) -> Tensor:
        moves = [move for _, move in walk.moves()]
        inner = _kept_between(moves, 1)
        return made(_kept_between(inner, math.ceil(math.sqrt(len(moves)))), x)[0]
