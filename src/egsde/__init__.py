"""egsde: unpaired image translation with energy-guided diffusion (EGSDE) and its family."""

from egsde import _torchvision

__version__ = "0.1.0"

_torchvision.install()
