"""CycleDiffusion: the noises of the source's reverse process, replayed in the target's.

A path x_T .. x_0 ~ q(x_{0:T} | x_0) holds the noises that drive the source's sampler along it,
z = (x_s - mean_source(x_t)) / std (the DPM-Encoder of Wu 2022, arXiv 2210.05559); the target's
sampler takes the same: y_s = mean_target(y_t) + std z = x_s + mean_target(y_t) - mean_source(x_t).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.energies import Energy, guided
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise, Randn
from egsde.sampling.grids import Grid
from egsde.sampling.sampler import Sampler
from egsde.scores.process import Score, one_process
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers import Ancestral
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class Replayed(Solver):
    """One step of `solver` in the target with the noise that the source's path took.

    The path is the solver's own under the score of a single image, (alpha x_0 - x) / sigma^2: for
    DDIM(eta) and Ancestral exactly the posterior q(x_s | x_t, x_0). carry is its state.
    """

    solver: Solver
    source: Reverse
    image: Reverse
    exact: bool = True

    def check(self, sde: SDE) -> None:
        self.solver.check(sde)

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        path, memory = (x, (None, None, None)) if carry is None else carry
        path_s, drawn = self.solver.step(self.image, path, t, s, randn, memory[0])
        mean, target = self.solver.step(reverse, x, t, s, torch.zeros_like, memory[1])
        if float(reverse.sde.sigma(s)) == 0 and not self.exact:
            return mean, None
        expected, source = self.solver.step(self.source, path, t, s, torch.zeros_like, memory[2])
        return path_s + (mean - expected), (path_s, (drawn, target, source))


@dataclass(frozen=True)
class IntoClean:
    """A grid whose last step goes into clean data at t = 0, where the process has it."""

    grid: Grid

    def times(self, sde: SDE, start: float) -> Tensor:
        times = self.grid.times(sde, start)
        clean = torch.zeros_like(times[:1])
        return torch.cat([times, clean]) if self._misses(sde, times[-1], clean) else times

    def _misses(self, sde: SDE, last: Tensor, clean: Tensor) -> bool:
        return float(sde.sigma(last)) > 0 and float(sde.sigma(clean)) == 0


@dataclass(frozen=True)
class CycleDiffusion:
    """`target` with the noises of `source_score`, then `refine`d if asked.

    target gives process, score, sampler, constraint and t_start. exact: the last step,
    into clean data, has no noise; its difference to x_0 is replayed, too, so that equal scores
    return the source itself. The official code leaves it out (exact=False).
    """

    source_score: Score
    target: Diffusion
    refine: Diffusion | None = None
    exact: bool = True

    @property
    def steps(self) -> int:
        """Steps in the target; the source is evaluated beside each but the refining ones."""
        return self._walk.steps + (0 if self.refine is None else self.refine.steps)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        return deque(self.trajectory(x0, noise, **cond), maxlen=1).pop()[2]

    @torch.inference_mode(False)
    @torch.no_grad()
    def trajectory(
        self, x0: Tensor, noise: Noise, **cond: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t, y) of every state, those of the refinement after the others."""
        sde, sampler = self.target.sde, self._walk.sampler

        def image(x: Tensor, t: Tensor) -> Tensor:
            return sde.score_of(x0, x, t)

        source = Reverse.given(sde, self.source_score, None)
        replayed = Replayed(sampler.solver, source, Reverse(sde, image), self.exact)
        walk = replace(self._walk, sampler=replace(sampler, solver=replayed))
        y = x0
        for i, t, y in walk.trajectory(x0, noise, **cond):
            yield i, t, y
        if self.refine is not None:
            yield from self.refine.trajectory(y, noise.child("refine"), **cond)

    @property
    def _walk(self) -> Diffusion:
        sampler = self.target.sampler
        return replace(self.target, sampler=replace(sampler, grid=IntoClean(sampler.grid)))


def cycle_diffusion(
    score: Score,
    sampler: Sampler,
    source_score: Score,
    energy: Energy | None = None,
    t_start: float = 0.85,
    refine: float = 0.1,
    exact: bool = True,
) -> CycleDiffusion:
    """CycleDiffusion (Wu 2022): the source's path noises drive the target's sampler.
    Published cat2dog: DDIM(eta=0.1) of 1000 steps from 0.85 (es_steps), then a refinement from 0.1
    with eta = 1 (refine_steps); refine=0 leaves it out. energy guides the target. ValueError for a
    refine below 0 and for scores of two processes.
    """
    if refine < 0:
        raise ValueError(f"refine is the time it starts from, 0 for none; got {refine}")
    one_process(score, source_score)
    target = Diffusion(guided(score, energy), sampler, t_start=t_start)
    again = replace(sampler, solver=Ancestral())
    refined = Diffusion(score, again, t_start=refine) if refine > 0 else None
    return CycleDiffusion(source_score, target, refined, exact)
