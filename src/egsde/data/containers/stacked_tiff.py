"""TIFF of several pages of one shape: a stack, each page with its own tags.

Pages that are flagged as reduced or as masks (overviews) are no slices.
"""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np
import tifffile

from egsde.data.containers.base import Cut, Glance, Volume
from egsde.data.deep_tiff import (
    PALETTE,
    described,
    laid,
    numbers_of,
    tiff_file,
)
from egsde.data.images import HIGHEST
from egsde.data.rasters import Kind, Raster, upright
from egsde.opened import UnreadableImage, opened

REDUCED, MASK = 1, 4  # bits of NewSubfileType


class StackedTiff:
    """kind: of its pages."""

    suffixes = (".tif", ".tiff")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def glance(self, file: IO[bytes], cut: Cut) -> Glance | None:
        with tiff_file(file) as tiff:
            pages = _pages(tiff)
            if len(pages) < 2:
                return None
            page = pages[0]
            shape = (len(pages), page.imagelength, page.imagewidth, page.samplesperpixel)
            return Glance(shape, np.dtype(page.dtype).newbyteorder("="))

    def read(self, data: bytes, cut: Cut) -> Volume:
        with tiff_file(io.BytesIO(data)) as tiff:
            pages = _pages(tiff)
            kept = [described(page) for page in pages]
            array = np.stack([_pixels(page, data, k) for page, k in zip(pages, kept, strict=True)])
            options: Any = {"byteorder": tiff.byteorder, "bigtiff": tiff.is_bigtiff}

        def written(made: np.ndarray) -> dict[str, bytes]:
            buffer = io.BytesIO()
            with tifffile.TiffWriter(buffer, **options) as writer:
                for pixels, notes in zip(made, kept, strict=True):
                    numbers, how = laid(Raster(pixels, self.kind, notes))
                    writer.write(numbers, metadata=None, software=False, **how)
            return {"": buffer.getvalue()}

        notes = {HIGHEST: int(array.max())} if array.dtype == np.uint16 else None
        return Volume(array, written, notes=notes)


def _pages(tiff: tifffile.TiffFile) -> list[Any]:
    """The pages that are slices; UnreadableImage where they are not of one shape."""
    every: list[Any] = list(tiff.pages)
    pages = [p for p in every if not int(p.subfiletype) & (REDUCED | MASK)]
    if len(pages) < 2:
        return pages
    shapes = {(tuple(p.shape), str(p.dtype)) for p in pages}
    if len(shapes) > 1:
        told = ", ".join(
            f"{' x '.join(map(str, shape))} of {kind}" for shape, kind in sorted(shapes)
        )
        raise UnreadableImage(f"its pages are of mixed shapes or types ({told}); split them")
    if tiff.is_imagej or tiff.is_ome:
        axes = [a for a, n in zip(tiff.series[0].axes, tiff.series[0].shape, strict=True)
                if n > 1 and a not in "YXS"]  # fmt: skip
        if len(axes) > 1:
            raise UnreadableImage(
                f"it has the axes {tiff.series[0].axes} {tiff.series[0].shape}, and a stack has "
                f"one beside Y and X; split {axes[0]} into files"
            )
    return pages


def _pixels(page: Any, data: bytes, kept: dict[str, Any]) -> np.ndarray:
    if int(page.photometric) == PALETTE or page.bitspersample < 8:
        raise UnreadableImage("pages with a palette or below 8 bits; save them as grey or RGB")

    def by_pillow(_: str) -> np.ndarray:
        image = opened(data)
        image.seek(page.index)
        return np.asarray(image)

    return upright(numbers_of(page, data, kept, by_pillow), kept["orientation"])
