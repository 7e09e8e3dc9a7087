"""Forward processes, continuous and chains of levels."""

from egsde.sde.base import SDE, VarianceExploding, VariancePreserving
from egsde.sde.bridges import Brownian, Straight
from egsde.sde.chains import DDPM, NCSN, Chain
from egsde.sde.continuous import EDM, VE, VP, CosineVP, GeometricVP, SubVP
from egsde.sde.reverse import Reverse
from egsde.sde.tables import (
    const_betas,
    cosine_betas,
    geometric_sigmas,
    jsd_betas,
    linear_betas,
    quad_betas,
    ratio_betas,
    sigmoid_betas,
    vp_betas,
    warmup_betas,
)

__all__ = [
    "Brownian",
    "DDPM",
    "EDM",
    "NCSN",
    "Reverse",
    "SDE",
    "VE",
    "VP",
    "Chain",
    "CosineVP",
    "GeometricVP",
    "Straight",
    "SubVP",
    "VarianceExploding",
    "VariancePreserving",
    "const_betas",
    "cosine_betas",
    "geometric_sigmas",
    "jsd_betas",
    "linear_betas",
    "quad_betas",
    "ratio_betas",
    "sigmoid_betas",
    "vp_betas",
    "warmup_betas",
]
