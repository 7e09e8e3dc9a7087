"""Networks under the parameter names of the official checkpoints."""

from egsde.networks.adm_encoder import ADMEncoder
from egsde.networks.adm_unet import ADMUNet

__all__ = ["ADMEncoder", "ADMUNet"]
