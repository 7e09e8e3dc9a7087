"""TIFF of any depth and number of bands, by tifffile: the first page, and its tags.

8-bit pictures of up to four samples, and what tifffile has no decoder for, are read by Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np
import tifffile

from egsde.data.coded import check_parts, check_tiff
from egsde.data.images import HIGHEST
from egsde.data.rasters import Kind, Raster, checked, upright
from egsde.opened import MOST_BYTES, MOST_PIXELS, UnreadableImage, check_bytes, opened

# What is written by name, and what of the old layout no longer holds.
OURS = {254, 256, 257, 258, 259, 262, 266, 269, 273, 274, 277, 278, 279, 282, 283, 284, 296, 305,
        317, 320, 322, 323, 324, 325, 338, 339, 347, 513, 514, 529, 530, 531, 532, 34675,
        270}  # fmt: skip
WRITTEN = {1: None}  # compressions that are written as they were; others as zlib
COLOURS = {"rgb": 3, "separated": 4}  # bands that are no further ones
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
CONVERTED = (YCBCR, CIELAB)  # to RGB, as they are read


def tiff_file(file: IO[bytes]) -> tifffile.TiffFile:
    """A TIFF alone: none of the other files that OME's notes may name is opened."""
    return tifffile.TiffFile(file, _multifile=False)


def check_page(page: Any, data: bytes) -> None:
    """UnreadableImage for a page of the file `data` that is too large, or grows to more."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    if height * width > MOST_PIXELS or page.nbytes > MOST_BYTES:
        raise UnreadableImage(f"{width}x{height} pixels of {samples} bands are too many")
    check_tiff(page, lambda offset, count: data[offset : offset + count])


def check_alone(file: tifffile.TiffFile) -> None:
    """UnreadableImage where the one page stands for several, as in stacks of ImageJ above 4 GB."""
    if file.is_ome or len(file.pages) > 1:
        return
    count = file.series[0].size // file.pages[0].size
    if count > 1:
        raise UnreadableImage(
            f"its one page stands for {count} pictures; save each as a page of its own, or as .npy"
        )


class Tiff:
    """simple: the kind that reads ordinary pictures."""

    suffixes = (".tif", ".tiff")
    holds_text = False

    def __init__(self, simple: Kind) -> None:
        self.simple = simple

    def read(self, data: bytes, channels: int) -> Raster:
        check_bytes(len(data))
        with tiff_file(io.BytesIO(data)) as file:
            check_alone(file)
            return self.paged(file.pages[0], data, channels)

    def paged(self, page: Any, data: bytes, channels: int) -> Raster:
        """What is read of a page of the file `data`."""
        kept = described(page)
        kept["file"] = {"byteorder": page.parent.byteorder, "bigtiff": page.parent.is_bigtiff}
        check_parts(page)
        if plain(page, channels):
            found = self.simple.read(data, channels)
            if channels == 3:  # of which Pillow makes sRGB
                kept |= {"icc": None, "rgb": kept["rgb"] or kept["photometric"] in CONVERTED}
            return Raster(found.pixels, self, kept, found.alpha, found.notes)
        samples = page.samplesperpixel
        pixels = numbers_of(
            page, data, kept, lambda why: _by_pillow(self.simple, data, channels, why)
        )
        notes = {HIGHEST: int(pixels.max())} if pixels.dtype == np.uint16 else {}
        alpha = bool(kept["extrasamples"]) and samples in (2, 4) and pixels.dtype.kind == "u"
        return Raster(upright(pixels, kept["orientation"]), self, kept, alpha, notes)

    def write(self, raster: Raster, text: Mapping[str, str]) -> bytes:
        """With the source's layout, compression and tags where the number of bands is the same."""
        buffer = io.BytesIO()
        pixels, options = laid(raster)
        options |= raster.kept["file"]
        tifffile.imwrite(buffer, pixels, metadata=None, software=False, **options)
        return buffer.getvalue()

    def text(self, data: bytes) -> dict[str, str]:
        return {}


def numbers_of(
    page: Any, data: bytes, kept: dict[str, Any], otherwise: Callable[[str], np.ndarray]
) -> np.ndarray:
    """(H, W, C) of a page as it lies, white turned to the highest number. otherwise: decodes it
    where tifffile cannot, told why."""
    check_page(page, data)
    try:
        array = page.asarray()
    except (ValueError, ImportError) as error:
        if not undecoded(error):
            raise
        array = otherwise(str(error))
    pixels = last(checked(array), page.axes)
    if kept["photometric"] == WHITE_IS_ZERO and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels


def undecoded(error: Exception) -> bool:
    """Whether tifffile lacks the decoder that a page asks for."""
    return isinstance(error, ImportError) or "imagecodecs" in str(error)


def laid(raster: Raster) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of a page, and tifffile's options for it."""
    kept, pixels = raster.kept, raster.pixels
    channels = pixels.shape[2]
    options: dict[str, Any] = {
        "compression": kept["compression"],
        "iccprofile": kept["icc"],
        "description": kept["description"],
        "resolution": kept["resolution"],
        "resolutionunit": kept["unit"],
        "extratags": kept["tags"],
    }
    same = channels == kept["samples"]
    if kept["photometric"] == WHITE_IS_ZERO and same and pixels.dtype.kind == "u":
        pixels, options["photometric"] = np.iinfo(pixels.dtype).max - pixels, "miniswhite"
    else:
        options["photometric"] = "rgb" if channels in (3, 4) and kept["rgb"] else "minisblack"
        if channels == 3 and not same:
            options["photometric"] = "rgb"
        if kept["photometric"] == SEPARATED and same and channels >= 4:
            options["photometric"] = "separated"
    if channels > 1:
        options["planarconfig"] = kept["planar"] if same else "contig"
        if options["planarconfig"] == "separate":
            pixels = np.moveaxis(pixels, 2, 0)
        extra = channels - COLOURS.get(options["photometric"], 1)
        if extra:
            samples = kept["extrasamples"] if same else ()
            options["extrasamples"] = tuple(samples) or (0,) * extra
    else:
        pixels = pixels[..., 0]
    known = {key: value for key, value in options.items() if value is not None}
    return np.ascontiguousarray(pixels), known


def plain(page: Any, channels: int) -> bool:
    """Whether Pillow reads a page exactly: bytes of the usual kinds, and what has a palette."""
    photometric = int(page.photometric)
    if photometric in (PALETTE, *CONVERTED) or page.bitspersample < 8:
        return True
    usual = photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATED)
    small = page.samplesperpixel <= 4 and int(page.planarconfig or 1) == 1
    return page.dtype == np.uint8 and channels == 3 and usual and small


def described(page: Any) -> dict[str, Any]:
    """What of a page goes into the file that is made of it."""
    tags = page.tags
    resolution = tuple(tags[code].value for code in (282, 283) if code in tags)
    return {
        "photometric": int(page.photometric),
        "rgb": int(page.photometric) in (RGB, YCBCR),
        "planar": "separate" if int(page.planarconfig or 1) == 2 else "contig",
        "samples": page.samplesperpixel,
        "extrasamples": tuple(int(value) for value in page.extrasamples),
        "compression": WRITTEN.get(int(page.compression), "zlib"),
        "icc": tags[34675].value if 34675 in tags else None,
        "description": tags[270].value if 270 in tags else None,
        "resolution": resolution if len(resolution) == 2 else None,
        "unit": int(tags[296].value) if 296 in tags else None,
        "orientation": int(tags[274].value) if 274 in tags else 1,
        "tags": [
            (tag.code, int(tag.dtype), tag.count, tag.value, True)
            for tag in tags
            if tag.code not in OURS
        ],
    }


def last(array: np.ndarray, axes: str) -> np.ndarray:
    """(H, W, C) of a page's array, by tifffile's letters of its axes."""
    axes = axes.replace("I", "").replace("Q", "")
    if array.ndim == 2:
        return array[..., None]
    if array.ndim == 3:
        return np.moveaxis(array, 0, 2) if axes.startswith("S") else array
    raise UnreadableImage(f"a page of shape {array.shape} is no picture")


def _by_pillow(simple: Kind, data: bytes, channels: int, why: str) -> np.ndarray:
    """What has a compression that tifffile cannot undo alone, such as LZW."""
    image = opened(data)
    if image.mode == "F":
        return np.asarray(image)
    try:
        return simple.read(data, channels).pixels
    except Exception as error:
        raise UnreadableImage(f"{why}; or save it without compression") from error
