"""EGSDE (Zhao 2022, arXiv 2207.06635): the reverse SDE from a noised source, guided by energies.

Without energy it is SDEdit (Meng 2022, arXiv 2108.01073).
"""

from __future__ import annotations

import torch
from torch import Tensor

from egsde.constraints import KeepKnown
from egsde.energies import Energy, guided
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores.process import Score
from egsde.solvers import GuidedAdams
from egsde.source import Source


@torch.no_grad()
def algorithm_1(
    score: Score,
    energy: Energy,
    x0: Tensor,
    noise: Noise,
    t_start: float = 0.5,
    steps: int = 500,
) -> Tensor:
    """The paper's Algorithm 1, line by line, to be read: y from the source x0, both (B, C, H, W).

    `egsde` with EulerMaruyama, a Uniform grid and source_noise="fresh" is the same.
    """
    noise = noise.child(0)  # the streams of a first repeat
    sde = score.sde
    source = Source(x0, sde, noise, "fresh")
    times = torch.linspace(t_start, sde.t_min, steps + 1, dtype=torch.float64)
    y = source.start(times[0])  # y ~ q(x_M | x_0)
    for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        source.begin(i, t)  # x ~ q(x_t | x_0), anew
        pull = score(y, t, source) - energy.grad(y, t, source)  # s(y, t) - grad_y E(y, x, t)
        f, g, h = sde.drift(t), sde.diffusion(t), t - s
        y = y - (f * y - g.square() * pull) * h
        if not sde.is_clean(s):  # z = 0 at the last step
            y = y + g * h.sqrt() * noise.stream(f"step/{i}")(y)
    return y


def egsde(
    score: Score,
    sampler: Sampler,
    energy: Energy | None,
    t_start: float = 0.5,
    source_noise: str = "shared",
    repeats: int = 1,
) -> Diffusion:
    """EGSDE (Zhao 2022): noised source, then the reverse SDE guided by an energy.

    Published energy: 500 DomainCosine + 2 LowPassL2. source_noise: "shared" is the official code,
    "fresh" Algorithm 1; repeats: App. A.2.
    """
    return Diffusion(
        guided(score, energy),
        sampler,
        t_start=t_start,
        source_noise=source_noise,
        repeats=repeats,
    )


def egsde_fast(
    score: Score,
    energy: Energy | None,
    t_start: float = 0.5,
    source_noise: str = "shared",
    steps: int = 24,
    order: int = 1,
    corrector: int = 0,
) -> Diffusion:
    """EGSDE in few evaluations: the low pass of its energy integrated exactly within steps that are
    even in log(alpha / sigma) and hold the rest constant (order 1) or extrapolate it
    (`GuidedAdams`). steps: over the whole process. Order 3, corrector 3 and 48 steps are within a
    percent of the guided law's mean and variance under exact scores, in 25 evaluations from 0.5.
    """
    solver, grid = GuidedAdams(order, corrector), LogSNR(steps, shift=0.02)
    sampler = Sampler(solver, grid, denoise=True)
    return egsde(score, sampler, energy, t_start, source_noise)


def sdedit(
    score: Score,
    sampler: Sampler,
    t_start: float = 0.5,
    mask: bool = False,
    repeats: int = 1,
    old_time: bool = False,
) -> Diffusion:
    """SDEdit (Meng 2022): EGSDE without energy; with mask, pixels where cond mask is 1 are kept.

    old_time: after each step they have the noise level before it, as in the official code.
    """
    constraint = KeepKnown(old_time) if mask else None
    return Diffusion(score, sampler, constraint=constraint, t_start=t_start, repeats=repeats)
