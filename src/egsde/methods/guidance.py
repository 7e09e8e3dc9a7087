"""From noise alone: new images, and images of one class (Dhariwal 2021, arXiv 2105.05233)."""

from __future__ import annotations

from egsde.energies import Energy, Guided
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score


def generate(score: Score, sampler: Sampler, clip: bool = True) -> Diffusion:
    """Unconditional sampling from noise at the process's T: new images in the shape of the sources.

    clip: denoised images stay in [-1, 1] (Ho 2020); where alpha is small a network's errors are
    many times larger in them.
    """
    return Diffusion(Clipped(score) if clip else score, sampler, start=prior)


def classifier_guidance(
    score: Score, sampler: Sampler, energy: Energy, scale: float = 1.0, clip: bool = True
) -> Diffusion:
    """Classifier guidance (Dhariwal 2021): images of one class from noise alone; energy:
    LogProb(classifier, label), so that the score becomes score + scale grad log p(c | y)."""
    score = Clipped(score) if clip else score
    return Diffusion(Guided(score, scale * energy), sampler, start=prior)
