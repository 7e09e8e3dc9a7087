"""LightningModules: training the score and the time-dependent domain classifier."""

from egsde.modules.classifier import DomainClassifierModule
from egsde.modules.conditional import ConditionalModule
from egsde.modules.cycle import CycleModule
from egsde.modules.partners import Coupling, InLoop, Partners, Replay
from egsde.modules.schedules import Constant, Cosine, Linear
from egsde.modules.score import ScoreModule
from egsde.modules.tasks import Degrade, Pair, Paired
from egsde.modules.unit_ddpm import UnitDDPMModule

__all__ = [
    "ConditionalModule",
    "Coupling",
    "CycleModule",
    "Constant",
    "Cosine",
    "Degrade",
    "DomainClassifierModule",
    "InLoop",
    "Linear",
    "Pair",
    "Paired",
    "Partners",
    "Replay",
    "ScoreModule",
    "UnitDDPMModule",
]
