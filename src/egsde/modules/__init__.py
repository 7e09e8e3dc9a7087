"""LightningModules: training the score and the time-dependent domain classifier."""

from egsde.modules.classifier import DomainClassifierModule
from egsde.modules.conditional import ConditionalModule
from egsde.modules.schedules import Constant, Cosine, Linear
from egsde.modules.score import ScoreModule
from egsde.modules.tasks import Pair, Paired

__all__ = [
    "ConditionalModule",
    "Constant",
    "Cosine",
    "DomainClassifierModule",
    "Linear",
    "Pair",
    "Paired",
    "ScoreModule",
]
