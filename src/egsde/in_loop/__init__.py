"""How gradients of a sampled image reach the network: gradient modes of a sampler in training."""

from egsde.in_loop.adjoint import Adjoint
from egsde.in_loop.base import Detached, Full, GradientMode, Truncated
from egsde.in_loop.checkpointed import Checkpointed, SquareRoot

__all__ = [
    "Adjoint",
    "Checkpointed",
    "Detached",
    "Full",
    "GradientMode",
    "SquareRoot",
    "Truncated",
]
