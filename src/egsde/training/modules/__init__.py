"""LightningModules: training the score and the time-dependent domain classifier."""

from egsde.training.modules.adversarial import AdversarialModule
from egsde.training.modules.autoencoder import AutoencoderModule
from egsde.training.modules.bridge import BridgeModule
from egsde.training.modules.classifier import DomainClassifierModule
from egsde.training.modules.conditional import ConditionalModule
from egsde.training.modules.cycle import CycleModule
from egsde.training.modules.ddgan import DDGANModule
from egsde.training.modules.distribution_matching import DistributionMatchingModule
from egsde.training.modules.dsbm import Across, DSBMModule
from egsde.training.modules.labelled import LabelledModule
from egsde.training.modules.lsgm import LSGMModule
from egsde.training.modules.score import ScoreModule
from egsde.training.modules.student import StudentModule
from egsde.training.modules.unit_ddpm import UnitDDPMModule
from egsde.training.modules.unsb import UNSBModule
from egsde.training.partners import Coupling, InLoop, KeptPartners, Partners
from egsde.training.schedules import Constant, Cosine, HeldLinear, Linear
from egsde.training.tasks import Degrade, Pair, Paired

__all__ = [
    "AutoencoderModule",
    "Across",
    "AdversarialModule",
    "BridgeModule",
    "ConditionalModule",
    "Coupling",
    "CycleModule",
    "Constant",
    "Cosine",
    "DDGANModule",
    "DSBMModule",
    "Degrade",
    "DistributionMatchingModule",
    "DomainClassifierModule",
    "HeldLinear",
    "InLoop",
    "LabelledModule",
    "Linear",
    "Pair",
    "Paired",
    "Partners",
    "LSGMModule",
    "KeptPartners",
    "ScoreModule",
    "StudentModule",
    "UNSBModule",
    "UnitDDPMModule",
]
