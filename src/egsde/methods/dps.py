"""DPS (Chung 2023, arXiv 2209.14687): guidance by an energy of the denoised image."""

from __future__ import annotations

from egsde.energies import Energy, Guided, OnDenoised
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score


def dps(
    score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0, clip: bool = True
) -> Diffusion:
    """DPS (Chung 2023): from noise alone, guided by an energy of the denoised image; for
    ||A x0 - b||^2 scale is 1 / (2 noise variance) (eq. 16). The paper's code instead subtracts a
    step of normalised length after each update."""
    score = Clipped(score) if clip else score
    pulled = Guided(score, scale * OnDenoised(energy, score))
    return Diffusion(pulled, sampler, start=prior)
