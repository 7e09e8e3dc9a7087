"""Networks under the parameter names of the official checkpoints."""

from egsde.networks.adm_encoder import ADMEncoder
from egsde.networks.adm_unet import ADMUNet
from egsde.networks.autoencoder import Autoencoder
from egsde.networks.ddpm_unet import DDPMUNet
from egsde.networks.mlp import MLP
from egsde.networks.official import (
    check_fit,
    load_official,
    load_official_file,
    read_weights,
    sha256_of,
    start_from_imagenet,
    widened,
)
from egsde.networks.pairing import Pairing

__all__ = [
    "ADMEncoder",
    "ADMUNet",
    "Autoencoder",
    "DDPMUNet",
    "MLP",
    "Pairing",
    "check_fit",
    "load_official",
    "load_official_file",
    "read_weights",
    "sha256_of",
    "start_from_imagenet",
    "widened",
]
