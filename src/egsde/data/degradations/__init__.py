"""What restoration models restore: hidden, cropped, grey, compressed and shrunk images."""

from egsde.data.degradations.degrade import (
    JPEG,
    Colourise,
    Degradation,
    Degraded,
    Inpaint,
    OneOf,
    Painted,
    Shrink,
    Uncrop,
    degrade_all,
)
from egsde.data.degradations.masks import Border, Both, Either, Mask, Rectangle, Strokes

__all__ = [
    "JPEG",
    "Border",
    "Both",
    "Colourise",
    "Degradation",
    "Degraded",
    "Either",
    "Inpaint",
    "Mask",
    "OneOf",
    "Painted",
    "Rectangle",
    "Shrink",
    "Strokes",
    "Uncrop",
    "degrade_all",
]
