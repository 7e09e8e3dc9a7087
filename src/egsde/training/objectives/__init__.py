"""What a score model minimises, and at which times: (score, x_0, t, eps) -> a loss per image."""

from egsde.training.objectives.cross_entropy import CrossEntropy
from egsde.training.objectives.denoising import (
    DenoisingScoreMatching,
    likelihood,
    reweighted,
    sigma_squared,
)
from egsde.training.objectives.hybrid import Hybrid
from egsde.training.objectives.masked import Masked
from egsde.training.objectives.score_matching import (
    ExplicitScoreMatching,
    SlicedScoreMatching,
    gaussian,
    rademacher,
)
from egsde.training.objectives.simple import Objective, Simple
from egsde.training.objectives.times import (
    Importance,
    LogNormal,
    LossSecondMoment,
    Times,
    UniformTimes,
)
from egsde.training.objectives.variational import VariationalLoss, variational_terms

__all__ = [
    "CrossEntropy",
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
    "UniformTimes",
    "VariationalLoss",
    "gaussian",
    "likelihood",
    "rademacher",
    "reweighted",
    "sigma_squared",
    "variational_terms",
]
