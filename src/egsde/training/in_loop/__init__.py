"""How gradients of a sampled image reach the network: gradient modes of a sampler in training."""

from egsde.training.in_loop.adjoint import Adjoint
from egsde.training.in_loop.base import Detached, Full, GradientMode, Truncated
from egsde.training.in_loop.checkpointed import Checkpointed, SquareRoot

__all__ = [
    "Adjoint",
    "Checkpointed",
    "Detached",
    "Full",
    "GradientMode",
    "SquareRoot",
    "Truncated",
]
