"""The papers' methods: one function each, with the paper's defaults."""

from __future__ import annotations

from dataclasses import replace

from egsde.constraints import KeepKnown
from egsde.cycle_diffusion import CycleDiffusion
from egsde.energies import Energy, OnDenoised
from egsde.sampler import Sampler
from egsde.scores import Score
from egsde.sde import SDE
from egsde.solvers import Ancestral
from egsde.starts import Encode, TwoWay
from egsde.translators import Diffusion, prior


def egsde(
    sde: SDE,
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
        sde,
        score,
        sampler,
        energy=energy,
        t_start=t_start,
        source_noise=source_noise,
        repeats=repeats,
    )


def sdedit(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    t_start: float = 0.5,
    mask: bool = False,
    repeats: int = 1,
) -> Diffusion:
    """SDEdit (Meng 2022): EGSDE without energy; with mask, pixels where cond mask is 1 are kept."""
    constraint = KeepKnown() if mask else None
    return Diffusion(sde, score, sampler, constraint=constraint, t_start=t_start, repeats=repeats)


def generate(sde: SDE, score: Score, sampler: Sampler) -> Diffusion:
    """Unconditional sampling from noise at sde.T: new images in the shape of the sources."""
    return Diffusion(sde, score, sampler, start=prior)


def ddib(
    sde: SDE,
    source_score: Score,
    score: Score,
    sampler: Sampler,
    t_start: float | None = None,
    symmetric: bool = True,
) -> Diffusion:
    """DDIB (Su 2023): up the source's probability-flow ODE, down the target's, with one solver.

    symmetric: both walks end at the smallest noise level, so that a cycle closes as steps shrink;
    False: the way down goes on into clean data, as the official code does.
    """
    if symmetric:
        sampler = replace(sampler, grid=TwoWay(sampler.grid), denoise=False)
    start = Encode(source_score, sampler)
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
    with eta = 1 (refine_steps); refine=0 leaves it out. energy guides the target.
    """
    target = Diffusion(sde, score, sampler, energy=energy, t_start=t_start)
    again = replace(sampler, solver=Ancestral())
    refined = Diffusion(sde, score, again, t_start=refine) if refine > 0 else None
    return CycleDiffusion(source_score, target, refined, exact)


def classifier_guidance(
    sde: SDE, score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0
) -> Diffusion:
    """Classifier guidance (Dhariwal 2021): images of one class from noise alone.

    energy: LogProb(classifier, label), so that the score becomes score + scale grad log p(c | y).
    """
    return Diffusion(sde, score, sampler, energy=scale * energy, start=prior)


def dps(sde: SDE, score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0) -> Diffusion:
    """DPS (Chung 2023): from noise alone, guided by an energy of the denoised image.

    With E = ||A x0 - b||^2, scale is 1 / (2 noise variance) (eq. 16), inside the score for any
    solver; the paper's code instead subtracts a step of normalised length after each update.
    """
    return Diffusion(sde, score, sampler, energy=scale * OnDenoised(energy, score), start=prior)
