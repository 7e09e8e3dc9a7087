"""LightningModules: training the score and the time-dependent domain classifier."""

from egsde.modules.classifier import DomainClassifierModule
from egsde.modules.schedules import Constant, Cosine, Linear
from egsde.modules.score import ScoreModule

__all__ = ["Constant", "Cosine", "DomainClassifierModule", "Linear", "ScoreModule"]
