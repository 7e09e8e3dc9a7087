"""From noise to an image: the times of a walk, and the one loop."""

from egsde.sampling.grids import (
    AtOnce,
    EveryLevel,
    Grid,
    Karras,
    LogSNR,
    Quadratic,
    Respaced,
    Uniform,
)
from egsde.sampling.jumps import Jumps
from egsde.sampling.repeats import Repeats
from egsde.sampling.sampler import Constraint, Sampler, Walk

__all__ = [
    "AtOnce",
    "Constraint",
    "EveryLevel",
    "Grid",
    "Jumps",
    "Karras",
    "LogSNR",
    "Quadratic",
    "Repeats",
    "Respaced",
    "Sampler",
    "Uniform",
    "Walk",
]
