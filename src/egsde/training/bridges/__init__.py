"""What flows and bridges learn from: a coupling makes pairs, a path what is between."""

from egsde.training.bridges.couplings import (
    Coupled,
    Entropic,
    Independent,
    MinibatchOT,
    Reflow,
    sinkhorn,
    together,
)
from egsde.training.bridges.paths import Path, Pinned, Point, StraightPath

__all__ = [
    "Coupled",
    "Entropic",
    "Independent",
    "MinibatchOT",
    "Path",
    "Pinned",
    "Point",
    "Reflow",
    "StraightPath",
    "sinkhorn",
    "together",
]
