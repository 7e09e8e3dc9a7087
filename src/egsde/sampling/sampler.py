"""The one loop: a solver walked along a time grid, with noise, constraint and source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from egsde.noise import Streams
from egsde.sampling.grids import AtOnce, Grid
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.stepping import complete
from egsde.source import Source

Move = Callable[[Tensor, Carry], tuple[Tensor, Carry]]  # (x, carry) -> (x, carry)


class Constraint(Protocol):
    """(y, t, source) -> like y: what is imposed on the state after each step."""

    def __call__(self, y: Tensor, t: Tensor, source: Any) -> Tensor: ...


@dataclass(frozen=True)
class Sampler:
    """Solver and grid. denoise: where the grid ends in noise (a continuous SDE's t_min), return
    x0 of the last state; a chain ends clean and needs none. ValueError where nothing is left to
    do: a grid of no step, without it."""

    solver: Solver
    grid: Grid
    denoise: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "solver", complete(self.solver))
        if isinstance(self.grid, AtOnce) and not self.denoise:
            raise ValueError(
                "sampler=at_once takes no step, so with denoise=false the start would come back; "
                "leave sampler.denoise=false out, or choose another sampler="
            )

    def times(self, sde: SDE, start: float) -> Tensor:
        """float64 (n + 1,), from start down to t_min; ValueError where the solver cannot run."""
        self.solver.check(sde)
        return self.grid.times(sde, start)

    def trajectory(
        self,
        reverse: Reverse,
        x: Tensor,
        times: Tensor,
        noise: Streams,
        constraint: Constraint | None = None,
        source: Source | None = None,
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The states of a `Walk`; with `times`, all that a sampler of one's own needs."""
        return Walk(self, reverse, times, noise, constraint, source).trajectory(x)

    def run(self, reverse: Reverse, x: Tensor, times: Tensor, noise: Streams) -> Tensor:
        """The end of a plain `Walk`."""
        return Walk(self, reverse, times, noise).run(x)


@dataclass(frozen=True)
class Walk:
    """One run of a sampler: what all of its steps see.

    Energies see the time before a step, the constraint the time after it.
    """

    sampler: Sampler
    reverse: Reverse
    times: Tensor
    noise: Streams
    constraint: Constraint | None = None
    source: Source | None = None

    def run(self, x: Tensor) -> Tensor:
        """The last state of `trajectory`."""
        return deque(self.trajectory(x), maxlen=1).pop()[2]

    @torch.inference_mode(False)  # energies differentiate, also inside an evaluation loop
    @torch.no_grad()
    def trajectory(self, x: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t_i, x_i) for i = 0 .. n, and x_0 at t = 0 if denoised."""
        yield from self.states(x)

    def states(self, x: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """`trajectory` in whatever gradient mode it is called: a trained score sees its errors."""
        carry = None
        yield 0, self.times[0], x
        for i, (t, move) in enumerate(self.moves(), 1):
            x, carry = move(x, carry)
            yield i, t, x

    def moves(self) -> list[tuple[Tensor, Move]]:
        """(time it reaches, move) of each step, and of the denoising at the end if there is one.

        A move draws the same noise whenever it is made: it can be repeated from a kept state.
        """
        solver, last = self.sampler.solver.plan(self.times), self.times[-1]
        reverse = self.reverse
        if self.constraint is not None:
            reverse = replace(reverse, impose=self._impose_between)
        ends = zip(self.times[:-1], self.times[1:], strict=True)
        moves = [(s, self._step(solver, reverse, i, t, s)) for i, (t, s) in enumerate(ends)]
        if self.sampler.denoise and not reverse.sde.is_clean(last):
            moves.append((torch.zeros_like(last), self._denoise))
        return moves

    def _step(self, solver: Solver, reverse: Reverse, i: int, t: Tensor, s: Tensor) -> Move:
        def move(x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
            if self.source is not None:
                self.source.begin(i, t)
            x, carry = solver.step(reverse, x, t, s, self.noise.stream(f"step/{i}"), carry)
            return self._impose(x, s), carry

        return move

    def _denoise(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        last = self.times[-1]
        if self.source is not None:
            self.source.begin(len(self.times) - 1, last)
        return self._impose(self.reverse.x0(x, last), torch.zeros_like(last)), None

    def _impose(self, x: Tensor, t: Tensor) -> Tensor:
        return x if self.constraint is None else self.constraint(x, t, self.source)

    def _impose_between(self, x: Tensor, t: Tensor) -> Tensor:
        """Between two moves of one step; what follows sees new noise of the source."""
        x = self._impose(x, t)
        if self.source is not None:
            self.source.renew()
        return x
