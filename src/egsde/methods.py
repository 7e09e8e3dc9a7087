"""The papers' methods: one function each, with the paper's defaults."""

from __future__ import annotations

from egsde.constraints import KeepKnown
from egsde.energies.base import Energy
from egsde.sampler import Sampler
from egsde.scores import Score
from egsde.sde import SDE
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
