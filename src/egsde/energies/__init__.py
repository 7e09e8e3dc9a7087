"""Energies: functions of (y, t, source) that guide a translation."""

from egsde.energies.base import Energy, WeightedSum, none
from egsde.energies.clip import CLIP, load_clip
from egsde.energies.decoded import Decoded
from egsde.energies.dino import DINO, load_dino
from egsde.energies.domain_cosine import DomainCosine
from egsde.energies.domain_l2 import DomainL2
from egsde.energies.during import During
from egsde.energies.every_kth import EveryKth
from egsde.energies.guided import Guided, guided
from egsde.energies.log_prob import LogProb
from egsde.energies.low_pass_cosine import LowPassCosine
from egsde.energies.low_pass_l2 import LowPassL2
from egsde.energies.lpips import LPIPS
from egsde.energies.on_denoised import OnDenoised

__all__ = [
    "CLIP",
    "DINO",
    "Decoded",
    "DomainCosine",
    "DomainL2",
    "During",
    "Energy",
    "EveryKth",
    "Guided",
    "LPIPS",
    "LogProb",
    "LowPassCosine",
    "LowPassL2",
    "OnDenoised",
    "WeightedSum",
    "guided",
    "load_clip",
    "load_dino",
    "none",
]
