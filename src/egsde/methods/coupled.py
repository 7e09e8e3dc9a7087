"""Methods with a score of each domain: both ways through the same noise."""

from __future__ import annotations

from dataclasses import replace

from egsde.cycle_diffusion import CycleDiffusion
from egsde.energies import Energy
from egsde.sampler import Sampler
from egsde.scores import Score
from egsde.sde import SDE
from egsde.solvers import Ancestral
from egsde.starts import Encode, TwoWay
from egsde.translators import Diffusion


def ddib(
    sde: SDE,
    source_score: Score,
    score: Score,
    sampler: Sampler,
    t_start: float | None = None,
    symmetric: bool = True,
) -> Diffusion:
    """DDIB (Su 2023): up the source's probability-flow ODE, down the target's, with one solver;
    symmetric: both ends at the smallest noise level, where the official code goes on into data."""
    if symmetric:
        sampler = replace(sampler, grid=TwoWay(sampler.grid), denoise=False)
    start = Encode(source_score, sampler, beyond=not symmetric and t_start is None)
    return Diffusion(sde, score, sampler, start=start, t_start=t_start)


def cycle_diffusion(
    sde: SDE,
    source_score: Score,
    score: Score,
    sampler: Sampler,
    energy: Energy | None = None,
    t_start: float = 0.85,
    refine: float = 0.1,
    exact: bool = True,
) -> CycleDiffusion:
    """CycleDiffusion (Wu 2022): the source's path noises drive the target's sampler.
    Published cat2dog: DDIM(eta=0.1) of 1000 steps from 0.85 (es_steps), then a refinement from 0.1
    with eta = 1 (refine_steps); refine=0 leaves it out. energy guides the target. ValueError for a
    refine below 0.
    """
    if refine < 0:
        raise ValueError(f"refine is the time it starts from, 0 for none; got {refine}")
    target = Diffusion(sde, score, sampler, energy=energy, t_start=t_start)
    again = replace(sampler, solver=Ancestral())
    refined = Diffusion(sde, score, again, t_start=refine) if refine > 0 else None
    return CycleDiffusion(source_score, target, refined, exact)
