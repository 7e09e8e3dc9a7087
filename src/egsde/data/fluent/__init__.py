"""The embedded pair of domains: Fluent emoji drawn flat and rendered in 3D (Microsoft, MIT).

The renderings lie on the drawings pixel for pixel, so that a translation has a truth. Pictures of
64 px over white, one lossless WebP sheet a style, one skin tone of each family; families never
cross splits, and country flags, alike in both styles, are left out.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from egsde.data.domains import ArrayImages
from egsde.data.images import square

HERE = Path(__file__).parent
SIDE, COLUMNS = 64, 40
STYLES = ("flat", "3d")


@cache
def index() -> list[dict[str, str]]:
    """Rows of (id, split), in the order of the sheets."""
    return json.loads((HERE / "index.json").read_text())


@cache
def pictures(style: str) -> np.ndarray:
    """All pictures of one style: uint8 (n, 64, 64, 3)."""
    sheet = np.asarray(Image.open(HERE / f"{style}.webp").convert("RGB"))
    rows = sheet.shape[0] // SIDE
    tiles = sheet.reshape(rows, SIDE, COLUMNS, SIDE, 3).swapaxes(1, 2)
    return tiles.reshape(-1, SIDE, SIDE, 3)[: len(index())]


class Fluent:
    """Store of the domains `flat` and `3d`; an id names the same emoji in both."""

    paired = True
    drawable = True

    def images(self, domain: str, split: str, size: int) -> ArrayImages:
        """Pictures of one split, shrunk with an antialiased filter where size < 64."""
        if domain not in STYLES:
            raise ValueError(f"fluent style {domain!r} is unknown; use {' or '.join(STYLES)}")
        rows = [i for i, row in enumerate(index()) if row["split"] == split]
        arrays = [square(Image.fromarray(pictures(domain)[i]), size) for i in rows]
        return ArrayImages([index()[i]["id"] for i in rows], np.stack(arrays))
