"""The one loop: a solver walked along a time grid, with noise, constraint and source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from egsde.noise import Noise
from egsde.sampling.grids import Grid
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.source import Source

Constraint = Callable[[Tensor, Tensor, Any], Tensor]  # (y, t, source) -> like y
Move = Callable[[Tensor, Carry], tuple[Tensor, Carry]]  # (x, carry) -> (x, carry)


def _impose(constraint: Constraint, source: Source | None, x: Tensor, t: Tensor) -> Tensor:
    """The constraint between two moves of one step; what follows sees new noise of the source."""
    x = constraint(x, t, source)
    if source is not None:
        source.renew()
    return x


@dataclass(frozen=True)
class Sampler:
    """Solver and grid. denoise: where the grid ends in noise (a continuous SDE's t_min), return
    x0 of the last state; a chain ends clean and needs none."""

    solver: Solver
    grid: Grid
    denoise: bool = False

    def times(self, sde: SDE, start: float) -> Tensor:
        """float64 (n + 1,), from start down to t_min; ValueError where the solver cannot run."""
        self.solver.check(sde)
        return self.grid.times(sde, start)

    @torch.inference_mode(False)  # energies differentiate, also inside an evaluation loop
    @torch.no_grad()
    def trajectory(
        self,
        reverse: Reverse,
        x: Tensor,
        times: Tensor,
        noise: Noise,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t_i, x_i) for i = 0 .. n, and x_0 at t = 0 if denoised.

        Energies see the time before a step, the constraint the time after it.
        """
        yield from self.walk(reverse, x, times, noise, constraint, source)

    def walk(
        self,
        reverse: Reverse,
        x: Tensor,
        times: Tensor,
        noise: Noise,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """`trajectory` in whatever gradient mode it is called: a trained score sees its errors."""
        carry = None
        yield 0, times[0], x
        for i, (t, move) in enumerate(self.moves(reverse, times, noise, constraint, source), 1):
            x, carry = move(x, carry)
            yield i, t, x

    def moves(
        self,
        reverse: Reverse,
        times: Tensor,
        noise: Noise,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> list[tuple[Tensor, Move]]:
        """(time it reaches, move) of each step, and of the denoising at the end if there is one.

        A move draws the same noise whenever it is made: it can be repeated from a kept state.
        """
        solver, last = self.solver.plan(times), times[-1]
        if constraint is not None:
            reverse = replace(reverse, impose=partial(_impose, constraint, source))

        def step(i: int, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
            t, s = times[i], times[i + 1]
            if source is not None:
                source.begin(i, t)
            x, carry = solver.step(reverse, x, t, s, noise.stream(f"step/{i}"), carry)
            return (x if constraint is None else constraint(x, s, source)), carry

        def clean(x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
            if source is not None:
                source.begin(len(times) - 1, last)
            x = reverse.x0(x, last)
            zero = torch.zeros_like(last)
            return (x if constraint is None else constraint(x, zero, source)), None

        moves: list[tuple[Tensor, Move]] = [(s, partial(step, i)) for i, s in enumerate(times[1:])]
        if self.denoise and float(reverse.sde.sigma(last)) > 0:
            moves.append((torch.zeros_like(last), clean))
        return moves

    def run(
        self,
        reverse: Reverse,
        x: Tensor,
        times: Tensor,
        noise: Noise,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> Tensor:
        """The last state of `trajectory`."""
        states = self.trajectory(reverse, x, times, noise, constraint, source)
        return deque(states, maxlen=1).pop()[2]
