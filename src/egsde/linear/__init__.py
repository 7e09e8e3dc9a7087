"""Linear maps of images: filters, measurements, blocks, and quadratic forms."""

from egsde.linear.blocks import join, split
from egsde.linear.filters import Kernel, LowPass, box, cubic, linear, resize_matrix
from egsde.linear.operators import Box, Cond, Grey, KSpace, Operator, Pixels, known_pixels
from egsde.linear.quadratic import NO_QUADRATIC, QuadraticPart

__all__ = [
    "Box",
    "Cond",
    "Grey",
    "KSpace",
    "Kernel",
    "LowPass",
    "NO_QUADRATIC",
    "Operator",
    "Pixels",
    "QuadraticPart",
    "box",
    "cubic",
    "join",
    "known_pixels",
    "linear",
    "resize_matrix",
    "split",
]
