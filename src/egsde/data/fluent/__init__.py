"""The embedded pair of domains: Fluent emoji drawn flat and rendered in 3D (Microsoft, MIT).

The renderings lie on the drawings pixel for pixel, so that a translation has a truth. Pictures of
64 px over white, one skin tone of each family; families never cross splits, and flags, alike in
both styles, are left out. flat.webp and 3d.webp are sheets of tiles, the same thing at the same
place in both; `index.json` has a row with an id and a split for each.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from egsde.data.domains import ArrayImages
from egsde.data.images import square

SIDE = 64  # of a tile
FOLDER = Path(__file__).parent


class Fluent:
    """Store of the domains `flat` and `3d`; an id names the same thing in both.

    disjoint: each style has training pictures of its own, half of them by a hash of the id, so
    that nothing is seen in two styles.
    """

    paired = True
    drawable = True
    styles = ("flat", "3d")
    columns = 40  # tiles to a row of a sheet

    def __init__(self, disjoint: bool = False) -> None:
        self.disjoint = disjoint

    @classmethod
    @cache
    def index(cls) -> list[dict[str, str]]:
        """Rows of (id, split), in the order of the sheets."""
        return json.loads((FOLDER / "index.json").read_text())

    @classmethod
    @cache
    def pictures(cls, style: str) -> np.ndarray:
        """All pictures of one style: uint8 (n, 64, 64, 3)."""
        sheet = np.asarray(Image.open(FOLDER / f"{style}.webp").convert("RGB"))
        rows = sheet.shape[0] // SIDE
        tiles = sheet.reshape(rows, SIDE, cls.columns, SIDE, 3).swapaxes(1, 2)
        return tiles.reshape(-1, SIDE, SIDE, 3)[: len(cls.index())]

    @classmethod
    @cache
    def shrunk(cls, style: str, size: int) -> np.ndarray:
        """The same, shrunk with an antialiased filter where size < 64: (n, size, size, 3)."""
        return np.stack([square(Image.fromarray(p), size) for p in cls.pictures(style)])

    def images(self, domain: str, split: str, size: int) -> ArrayImages:
        """Pictures of one split. ValueError for an unknown style."""
        if domain not in self.styles:
            raise ValueError(f"fluent style {domain!r} is unknown; use flat or 3d")
        rows = [i for i, row in enumerate(self.index()) if row["split"] == split]
        if self.disjoint and split == "train":
            mine = self.styles.index(domain)
            rows = [i for i in rows if half_of(self.index()[i]["id"]) == mine]
        return ArrayImages([self.index()[i]["id"] for i in rows], self.shrunk(domain, size)[rows])


def half_of(name: str) -> int:
    """Which half of the training pictures an id belongs to: 0 or 1."""
    digest = blake2b(f"disjoint/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2
