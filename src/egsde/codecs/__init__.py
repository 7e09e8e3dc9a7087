"""Codecs: images to the space that a diffusion runs in, and back."""

from egsde.codecs.base import Codec, Identity, Latent
from egsde.codecs.dct import BlockDCT
from egsde.codecs.learned import Learned, load_codec, load_diffusers_codec
from egsde.codecs.lsgm import load_lsgm, load_lsgm_codec

__all__ = [
    "BlockDCT",
    "Codec",
    "Identity",
    "Latent",
    "Learned",
    "load_codec",
    "load_diffusers_codec",
    "load_lsgm",
    "load_lsgm_codec",
]
