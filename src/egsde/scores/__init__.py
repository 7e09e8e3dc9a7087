"""Networks as scores of (y, t, source), and what is made of scores."""

from egsde.scores.conditional import ConditionalScore, ConditionedScore
from egsde.scores.decorators import Clipped, LearnedV
from egsde.scores.flow_map import FlowMap
from egsde.scores.generator import Generator
from egsde.scores.labels import Extrapolated, LabelledScore
from egsde.scores.latent import LatentScore
from egsde.scores.mixed import MixedScore
from egsde.scores.model import Extractor, ScoreModel, ScoreViews
from egsde.scores.process import Score, ScoreFunction, process_of

__all__ = [
    "Clipped",
    "ConditionalScore",
    "Extractor",
    "Extrapolated",
    "LabelledScore",
    "FlowMap",
    "ConditionedScore",
    "Generator",
    "LatentScore",
    "LearnedV",
    "MixedScore",
    "Score",
    "ScoreFunction",
    "ScoreModel",
    "ScoreViews",
    "process_of",
]
