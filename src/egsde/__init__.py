"""egsde: unpaired image translation with energy-guided diffusion (EGSDE, Zhao 2022) and its family."""

from egsde import _torchvision

__version__ = "0.1.0"

_torchvision.install()
