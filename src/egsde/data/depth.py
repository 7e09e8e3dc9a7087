"""Pixels of 16 bits a channel, exactly: Pillow keeps the high byte of coloured ones only.

16 bits become 8 by v / 257, rounded. Integers of another range, or signed, have no known white.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from egsde.opened import UnreadableImage, opened

DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
OTHER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
SAMPLE_FORMAT, PHOTOMETRIC = 339, 262  # tags of TIFF


def deep_pixels(image: Image.Image, data: bytes) -> np.ndarray | None:
    """int64 (H, W, C) in 0..65535 of a picture with more than 8 bits a channel; else None."""
    tags = getattr(image, "tag_v2", {})
    formats = tags.get(SAMPLE_FORMAT, 1)
    if image.mode == "L" and 2 in np.atleast_1d(formats):
        raise UnreadableImage("signed bytes have no known white; save the image unsigned")
    if image.mode in DEEP:
        image.load()
        pixels = np.asarray(image).astype(np.int64)[..., None]
        if pixels.min() < 0 or pixels.max() > 65535:
            raise UnreadableImage(
                f"integers from {pixels.min()} to {pixels.max()} have no known range; save the "
                "image with 8 or 16 unsigned bits"
            )
        return 65535 - pixels if tags.get(PHOTOMETRIC) == 0 else pixels
    raw = _raw_mode(image)
    if image.format == "PPM" and raw == "RGB" and (white := _white(image)) > 255:
        return _of_ppm(image, data, white)
    if ";16" not in raw:
        return None
    if raw.startswith("LA"):  # two big-endian numbers a pixel, read as four bytes
        four = _bytes(data, "RGBA", "RGBA")
        return np.stack([four[..., 0] * 256 + four[..., 1], four[..., 2] * 256 + four[..., 3]], -1)
    if not raw.startswith(("RGB;", "RGBA;", "RGBX;")):
        raise UnreadableImage(f"16 bits a channel as {raw} cannot be read; save it as RGB or grey")
    image.load()
    high = np.asarray(image).astype(np.int64)
    low = _bytes(data, image.mode, raw[:-1] + OTHER[raw[-1]])
    return high * 256 + low


def _white(image: Image.Image) -> int:
    """The highest number that the head of a PPM states."""
    args = image.tile[0][3] if getattr(image, "tile", ()) else ""  # type: ignore[attr-defined]
    return int(args[1]) if isinstance(args, tuple) and len(args) == 2 else 255


def _of_ppm(image: Image.Image, data: bytes, white: int) -> np.ndarray:
    """Two big-endian bytes a number, of which Pillow makes one."""
    kind, _, begin, _ = image.tile[0]  # type: ignore[attr-defined]
    width, height = image.size
    if kind != "ppm" or len(data) < begin + 6 * width * height:
        why = "ends too early" if kind == "ppm" else "written as text is not read; save it as PNG"
        raise UnreadableImage(f"a PPM of 16 bits a channel {why}")
    found = np.frombuffer(data, ">u2", 3 * width * height, begin).astype(np.int64)
    pixels = (found.clip(max=white) * 65535 + white // 2) // white
    return pixels.reshape(height, width, 3)


def rounded(pixels: np.ndarray) -> np.ndarray:
    """0..65535 -> uint8: v / 257, rounded."""
    return ((pixels + 128) // 257).astype(np.uint8)


def _raw_mode(image: Image.Image) -> str:
    """How the file stores a pixel, as Pillow's decoder is told; "" where it is not told."""
    tiles = getattr(image, "tile", ())
    args = tiles[0][3] if tiles else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _bytes(data: bytes, mode: str, raw: str) -> np.ndarray:
    """The file decoded as bytes of another raw mode: int64 (H, W, C)."""
    image = opened(data)
    image._mode = mode  # type: ignore[attr-defined]
    image.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
        for tile in image.tile  # type: ignore[attr-defined]
    ]
    try:
        return np.asarray(image).astype(np.int64)
    except ValueError as error:
        raise UnreadableImage(f"16 bits a channel cannot be read exactly ({error})") from error
