"""Networks under the parameter names of the official checkpoints."""

from egsde.networks.adm_encoder import ADMEncoder
from egsde.networks.adm_unet import ADMUNet
from egsde.networks.autoencoder import Autoencoder
from egsde.networks.ddpm_unet import DDPMUNet
from egsde.networks.lsgm import LSGM
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
from egsde.networks.patch_gan import PatchGAN
from egsde.networks.patch_heads import PatchHeads
from egsde.networks.published_generators import named_as
from egsde.networks.resnet_generator import ResNetGenerator
from egsde.networks.unet_generator import UNetGenerator

__all__ = [
    "ADMEncoder",
    "ADMUNet",
    "Autoencoder",
    "DDPMUNet",
    "LSGM",
    "MLP",
    "Pairing",
    "PatchGAN",
    "PatchHeads",
    "ResNetGenerator",
    "UNetGenerator",
    "check_fit",
    "load_official",
    "load_official_file",
    "named_as",
    "read_weights",
    "sha256_of",
    "start_from_imagenet",
    "widened",
]
