"""What an image to translate is shown with: a mask, a low-resolution picture, its neighbours."""

from __future__ import annotations

from egsde.data.asked import square_side
from egsde.data.fits import Size
from egsde.data.low_resolution import LowResolution
from egsde.data.masks import masks
from egsde.data.neighbours import Neighbours
from egsde.data.views import Conditions


def conditions(
    mask: str | None, low: str | None, neighbours: int | None, size: Size, fit: str
) -> dict[str, Conditions]:
    """Those that are asked for, by the key of a batch that brings them.

    ValueError for a rectangle where squares are taken, and what the conditions raise themselves.
    """
    beside: dict[str, Conditions] = {}
    if mask and fit != "random_crop":
        beside["mask"] = masks(mask, size, fit)
    if low:
        beside["low"] = LowResolution(low, square_side(size, "low"))
    if neighbours is not None:
        beside["neighbours"] = Neighbours(neighbours)
    return beside
