"""The papers' methods: one function each, with the paper's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from egsde.constraints import (
    DataConsistency,
    Estimate,
    KeepKnown,
    MatchBlocks,
    MatchLowPass,
    Reference,
    new_time,
)
from egsde.cycle_diffusion import CycleDiffusion
from egsde.energies import Energy, OnDenoised
from egsde.filters import LowPass, cubic
from egsde.jumps import Jumps
from egsde.manifold import Balanced
from egsde.operators import Box, Grey, Operator
from egsde.sampler import Sampler
from egsde.score_decorators import Clipped, LearnedShare
from egsde.scores import Score
from egsde.sde import SDE
from egsde.solvers import Ancestral, LearnedVariance, TimeTravel
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


def generate(sde: SDE, score: Score, sampler: Sampler, clip: bool = True) -> Diffusion:
    """Unconditional sampling from noise at sde.T: new images in the shape of the sources.

    clip: denoised images stay in [-1, 1] (Ho 2020); where alpha is small a network's errors are
    many times larger in them.
    """
    return Diffusion(sde, Clipped(score, sde) if clip else score, sampler, start=prior)


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
    sde: SDE, score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0, clip: bool = True
) -> Diffusion:
    """Classifier guidance (Dhariwal 2021): images of one class from noise alone; energy:
    LogProb(classifier, label), so that the score becomes score + scale grad log p(c | y)."""
    score = Clipped(score, sde) if clip else score
    return Diffusion(sde, score, sampler, energy=scale * energy, start=prior)


def dps(
    sde: SDE, score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0, clip: bool = True
) -> Diffusion:
    """DPS (Chung 2023): from noise alone, guided by an energy of the denoised image; for
    ||A x0 - b||^2 scale is 1 / (2 noise variance) (eq. 16). The paper's code instead subtracts a
    step of normalised length after each update."""
    score = Clipped(score, sde) if clip else score
    return Diffusion(sde, score, sampler, energy=scale * OnDenoised(energy, score), start=prior)


def ilvr(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    low_pass: LowPass = LowPass(32, cubic),  # noqa: B008 (frozen)
    until: float = 0.0,
    reference: Reference = new_time,
    clip: bool = True,
    learned_variance: bool = False,
) -> Diffusion:
    """ILVR (Choi 2021): from noise alone, the source's low frequencies imposed after each step.

    until: only while the time is at least this. The official code (ilvr_adm) has until=0.2,
    reference=old_time, learned_variance=True and 100 respaced steps. clip: denoised images stay
    in [-1, 1]; learned_variance: the network's own noise takes the solver's place.
    """
    if learned_variance:
        score = both = LearnedShare(score)  # type: ignore[arg-type]
        sampler = replace(sampler, solver=LearnedVariance(both.share))
    score = Clipped(score, sde) if clip else score
    constraint = MatchLowPass(low_pass, until, reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def ccdf(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    operator: Operator = Box(8),  # noqa: B008 (frozen)
    t_start: float = 0.2,
) -> Diffusion:
    """CCDF (Chung 2022): the first guess behind a linear measurement of the source, noised to a
    late start; the measurement is imposed after each step.

    Super-resolution: Box, inpainting: Pixels, or any `Operator`. The measurement is A x_0, or the
    low-resolution images of the dataset.
    """
    return Diffusion(
        sde,
        score,
        sampler,
        constraint=DataConsistency(operator),
        start=Estimate(operator),
        t_start=t_start,
        source_noise="fresh",
    )


def repaint(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    length: int = 10,
    resamples: int = 10,
    clip: bool = True,
) -> Diffusion:
    """RePaint (Lugmayr 2022): pixels where cond mask is 1 are known; times jump back by `length`
    steps until each stretch has been walked `resamples` times.

    Published: 250 steps, 10 and 10. The known pixels end exactly the source's.
    """
    jumping = replace(
        sampler,
        solver=TimeTravel(sampler.solver),
        grid=Jumps(sampler.grid, length, resamples),
    )
    score = Clipped(score, sde) if clip else score
    return Diffusion(sde, score, jumping, constraint=KeepKnown(), start=prior, source_noise="fresh")


def inpaint(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    reference: Reference = new_time,
    clip: bool = False,
) -> Diffusion:
    """Inpainting by predictor and corrector (Song 2021, App. I.2): pixels where cond mask is 1 are
    known, imposed after each of the two.

    score_sde's code has reference=old_time, corrector_first=True and 2000 steps. clip: denoised
    images stay in [-1, 1].
    """
    score = Clipped(score, sde) if clip else score
    constraint = KeepKnown(reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def colourise(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    reference: Reference = new_time,
    clip: bool = False,
) -> Diffusion:
    """Colourisation by predictor and corrector (Song 2021, App. I.3): the source's grey axis is
    known, the two orthogonal axes of colour are drawn. clip: as in `inpaint`."""
    score = Clipped(score, sde) if clip else score
    constraint = DataConsistency(Grey(), reference)
    return Diffusion(sde, score, sampler, constraint=constraint, start=prior, source_noise="fresh")


def sddm(
    sde: SDE,
    score: Score,
    sampler: Sampler,
    terms: Mapping[str, Energy],
    blocks: int = 16,
    until: float = 0.5,
    gain: float = 0.25,
) -> Diffusion:
    """SDDM (Sun 2023): from noise alone, block statistics of the source imposed after each step
    and score and energies balanced along them, while t > until; 100 respaced ancestral steps.
    The official code's four more refinements at the last such step are left out."""
    balanced = Balanced(Clipped(score, sde), terms, blocks, until, gain)
    constraint = MatchBlocks(blocks, until)
    return Diffusion(sde, balanced, sampler, constraint=constraint, start=prior)
