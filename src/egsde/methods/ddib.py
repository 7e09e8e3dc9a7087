"""Starts (source, times, noise) -> y at times[0] that run a sampler of their own.

Encode walks the source up its probability-flow ODE, dx = [f x - g^2 score / 2] dt from the end of
the grid to its start: the latent of the dual diffusion implicit bridge (DDIB, Su 2023,
arXiv 2203.08382), of which the target's ODE is the way down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.energies import Energy, guided
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise, Randn
from egsde.sampling.grids import Grid
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores.process import Score, one_process
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.source import Source


def end_noisy(sde: SDE, times: Tensor) -> Tensor:
    """The falling times with t_noisy in place of clean data, where no score exists."""
    noisy = times[sde.sigma(times) > 0]
    if len(noisy) == len(times) or float(noisy[-1]) <= sde.t_noisy:
        return noisy
    return torch.cat([noisy, noisy.new_tensor([sde.t_noisy])])


@dataclass(frozen=True)
class TwoWay:
    """A grid that ends at the smallest noise level, so that it can be walked down and up again.

    The images at both ends are then states of that level (0.01 of noise on Ho's chain): a cycle
    closes to the solver's order, which it cannot where one way has a step into clean data.
    """

    grid: Grid

    def times(self, sde: SDE, start: float) -> Tensor:
        return end_noisy(sde, self.grid.times(sde, start))


class NoNoise:
    """Noise of deterministic walks: ValueError when a number is drawn."""

    def stream(self, key: str) -> Randn:
        def randn_like(x: Tensor) -> Tensor:
            raise ValueError(
                "an image is encoded by a deterministic solver, but this one draws noise; use "
                "DDIM, Heun, RK45 or EulerMaruyama with eta=0, such as sampler=ddim"
            )

        return randn_like

    def child(self, key: object) -> NoNoise:
        return self


@dataclass(frozen=True)
class Encode:
    """x_0 at the smallest noise level, up the ODE of `score` on the translation's own times.

    `sampler` gives the solver; its grid is not used. beyond: one DDIM step more, on from times[0]
    to pure noise of the same second moment (ddim_reverse_sample of ADM's code ends so). ValueError
    if the solver draws noise.
    """

    score: Score
    sampler: Sampler
    beyond: bool = False

    def __call__(self, source: Source, times: Tensor, noise: Noise) -> Tensor:
        up = end_noisy(source.sde, times).flip(0)
        reverse = Reverse.given(source.sde, self.score, source)
        sampler = replace(self.sampler, denoise=False)
        y = Walk(sampler, reverse, up, NoNoise(), source=source).run(source.x0)
        source.encoded(y, times[0])
        if not self.beyond:
            return y
        sde, top = source.sde, times[0]
        return (sde.alpha(top).square() + sde.sigma(top).square()).sqrt() * reverse.eps(y, top)


def ddib(
    score: Score,
    sampler: Sampler,
    source_score: Score,
    energy: Energy | None = None,
    t_start: float | None = None,
    symmetric: bool = True,
) -> Diffusion:
    """DDIB (Su 2023): up the source's probability-flow ODE, down the target's, with one solver;
    symmetric: both ends at the smallest noise level, where the official code goes on into data.
    energy guides the way down. ValueError for scores of two processes."""
    one_process(score, source_score)
    if symmetric:
        sampler = replace(sampler, grid=TwoWay(sampler.grid), denoise=False)
    start = Encode(source_score, sampler, beyond=not symmetric and t_start is None)
    return Diffusion(guided(score, energy), sampler, start=start, t_start=t_start)
