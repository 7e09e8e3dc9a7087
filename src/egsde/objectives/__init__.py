"""What a score model minimises, and at which times: (score, x_0, t, eps) -> a loss per image."""

from egsde.objectives.denoising import DenoisingScoreMatching, likelihood, sigma_squared
from egsde.objectives.hybrid import Hybrid
from egsde.objectives.masked import Masked
from egsde.objectives.score_matching import (
    ExplicitScoreMatching,
    SlicedScoreMatching,
    gaussian,
    rademacher,
)
from egsde.objectives.simple import Objective, Simple
from egsde.objectives.times import Importance, LogNormal, LossSecondMoment, Times, Uniform
from egsde.objectives.variational import VariationalLoss, variational_terms

__all__ = [
    "DenoisingScoreMatching",
    "ExplicitScoreMatching",
    "Hybrid",
    "Importance",
    "LogNormal",
    "LossSecondMoment",
    "Masked",
    "Objective",
    "Simple",
    "SlicedScoreMatching",
    "Times",
    "Uniform",
    "VariationalLoss",
    "gaussian",
    "likelihood",
    "rademacher",
    "sigma_squared",
    "variational_terms",
]
