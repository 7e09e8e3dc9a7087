"""A drawing in black and white, however it is stored: what a person calls white becomes 255.

White is 1, 255, or the full scale of 12 or 16 bits, by the brightest value in the file; colours,
transparency and negative or unbounded numbers say nothing about white and are refused.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from egsde.data.deep_tiff import WHITE_IS_ZERO, tiff_file
from egsde.data.depth import DEEP, PHOTOMETRIC, deep_pixels
from egsde.data.kinds import TIFF, numbers
from egsde.data.rasters import checked, shaped
from egsde.opened import UnreadableImage, check_bytes, opened

WHITES = {8: (1, 255), 16: (1, 255, 4095, 65535)}  # by bits a channel
NUMPY = b"\x93NUMPY"
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ADVICE = "paint what is kept white and what is filled in black"


def drawing(data: bytes) -> Image.Image:
    """Bytes of a file -> upright RGB picture of greys; raises UnreadableImage with the reason."""
    try:
        if data.startswith(NUMPY):
            plain = checked(numbers(data).astype(np.float64))
            return _picture(shaped(plain, 1)[0], 16)
        if data.startswith(TIFFS) and (array := _deep_numbers(data)) is not None:
            return _picture(array, 16)
        image = opened(data)
        grey = _picture(*_channels(image, data))
        grey.info["exif"] = image.getexif().tobytes()
        return ImageOps.exif_transpose(grey)
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        reason = "not an image" if "BytesIO" in str(error) else str(error)
        raise UnreadableImage(reason) from error


def _deep_numbers(data: bytes) -> np.ndarray | None:
    """float64 (H, W, C), upright, of a TIFF of floats or of 64 bits, most of which Pillow cannot
    open; None for any other. UnreadableImage where 0 is white."""
    check_bytes(len(data))
    with tiff_file(io.BytesIO(data)) as file:
        page: Any = file.pages[0]
        kind = np.dtype(page.dtype or np.uint8)
        if kind.kind != "f" and kind.itemsize < 8:
            return None
        if page.photometric == WHITE_IS_ZERO:
            raise UnreadableImage(f"{kind.name} whose 0 is white, of no known black; {ADVICE}")
        return TIFF.paged(page, data, 1).pixels.astype(np.float64)


def _picture(pixels: np.ndarray, bits: int) -> Image.Image:
    return Image.fromarray(np.repeat(greys(pixels, bits)[..., None], 3, -1))


def greys(pixels: np.ndarray, bits: int) -> np.ndarray:
    """uint8 (H, W), white 255, of (H, W, C) numbers from a file of so many bits a channel."""
    if not np.isfinite(pixels).all() or pixels.min() < 0:
        raise UnreadableImage(f"numbers below 0 or without value; {ADVICE}")
    top = float(pixels.max())
    white = next((w for w in WHITES[bits] if top <= w), None)
    if white is None:
        raise UnreadableImage(f"the brightest value is {top:g}, of no known range; {ADVICE}")
    pixels = pixels / white
    if pixels.shape[-1] > 1 and (np.ptp(pixels, -1) > 0.25).mean() > 0.01:
        raise UnreadableImage(f"it is coloured; {ADVICE}")
    pixels = pixels.mean(-1)
    if 0 < pixels.max() < 0.75:  # grey, which a grey of rounding would turn black
        raise UnreadableImage(f"nothing in it is white, the brightest value is {top:g}; {ADVICE}")
    return np.rint(pixels * 255).astype(np.uint8)


def _channels(image: Image.Image, data: bytes) -> tuple[np.ndarray, int]:
    """(H, W, C) without alpha, and the bits of a channel."""
    if image.mode == "F":
        return np.asarray(image)[..., None], 16
    if image.mode in DEEP and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) != 0:
        return np.asarray(image).astype(np.int64)[..., None], 16
    if (pixels := deep_pixels(image, data)) is not None:
        if pixels.shape[-1] in (2, 4):
            _refuse_clear(pixels[..., -1].min() == 65535)
            pixels = pixels[..., :-1]
        return pixels, 16
    indices = np.asarray(image) if image.mode == "P" else None
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        _refuse_clear(np.asarray(image.getchannel("A")).min() == 255)
    pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    if indices is not None and np.ptp(indices) > 0 and np.ptp(pixels) == 0:
        raise UnreadableImage(f"all colours of its palette are the same; {ADVICE}")
    return pixels, 8


def _refuse_clear(opaque: bool) -> None:
    if not opaque:
        raise UnreadableImage(f"it is partly transparent, which may mean either; {ADVICE}")
