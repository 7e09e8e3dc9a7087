"""Networks as scores of (y, t, source), and what is made of scores."""

from egsde.scores.conditional import ConditionalScore, ConditionedScore
from egsde.scores.decorators import Clipped, LearnedV
from egsde.scores.model import Extractor, Score, ScoreModel, ScoreViews

__all__ = [
    "Clipped",
    "ConditionalScore",
    "Extractor",
    "ConditionedScore",
    "LearnedV",
    "Score",
    "ScoreModel",
    "ScoreViews",
]
