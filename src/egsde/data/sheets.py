"""Embedded pictures: a sheet of tiles a style, the same thing at the same place in each.

`index.json` lies beside the sheets: rows with an id and a split, in their order.
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


class Sheets:
    """Store of the domains `styles`; an id names the same thing in all of them.

    folder holds STYLE.webp and index.json; columns: tiles to a row of a sheet. disjoint: each
    style has training pictures of its own, half of them by a hash of the id, so that nothing is
    seen in two styles.
    """

    paired = True
    drawable = True
    name: str
    folder: Path
    styles: tuple[str, ...]
    columns: int

    def __init__(self, disjoint: bool = False) -> None:
        self.disjoint = disjoint

    @classmethod
    @cache
    def index(cls) -> list[dict[str, str]]:
        """Rows of (id, split, ...), in the order of the sheets."""
        return json.loads((cls.folder / "index.json").read_text())

    @classmethod
    @cache
    def pictures(cls, style: str) -> np.ndarray:
        """All pictures of one style: uint8 (n, 64, 64, 3)."""
        sheet = np.asarray(Image.open(cls.folder / f"{style}.webp").convert("RGB"))
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
            known = " or ".join(self.styles)
            raise ValueError(f"{self.name} style {domain!r} is unknown; use {known}")
        rows = [i for i, row in enumerate(self.index()) if row["split"] == split]
        if self.disjoint and split == "train":
            mine = self.styles.index(domain)
            rows = [i for i in rows if part_of(self.index()[i]["id"], len(self.styles)) == mine]
        return ArrayImages([self.index()[i]["id"] for i in rows], self.shrunk(domain, size)[rows])


def part_of(name: str, parts: int) -> int:
    """Which of so many parts of the training pictures an id belongs to."""
    digest = blake2b(f"disjoint/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % parts
