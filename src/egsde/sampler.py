"""The one loop: a solver walked along a time grid, with noise, constraint and source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from egsde.grids import Grid
from egsde.noise import Noise
from egsde.reverse import Reverse
from egsde.sde import SDE
from egsde.solvers.base import Solver
from egsde.source import Source

Constraint = Callable[[Tensor, Tensor, Any], Tensor]  # (y, t, source) -> like y


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
        solver, carry = self.solver.plan(times), None
        if constraint is not None:
            reverse = replace(reverse, impose=partial(_impose, constraint, source))
        yield 0, times[0], x
        for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
            if source is not None:
                source.begin(i, t)
            x, carry = solver.step(reverse, x, t, s, noise.stream(f"step/{i}"), carry)
            if constraint is not None:
                x = constraint(x, s, source)
            yield i + 1, s, x
        last = times[-1]
        if self.denoise and float(reverse.sde.sigma(last)) > 0:
            if source is not None:
                source.begin(len(times) - 1, last)
            x = reverse.x0(x, last)
            if constraint is not None:
                x = constraint(x, torch.zeros_like(last), source)
            yield len(times), torch.zeros_like(last), x

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
