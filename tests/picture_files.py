"""Files of pictures that Pillow cannot write: 16 bits a channel, signed, of any palette."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from folders import encoded


def png16(pixels: np.ndarray) -> bytes:
    """uint16 (H, W, C) as a PNG, grey or coloured, with alpha where C is even."""
    h, w, c = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[c]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pixels: np.ndarray, *, sample_format: int = 1, white_is_zero: bool = False) -> bytes:
    """One uncompressed strip, little-endian: (H, W) or (H, W, 3) of any integer or float type."""
    pixels = np.ascontiguousarray(pixels)
    h, w = pixels.shape[:2]
    bands, bits = (1 if pixels.ndim == 2 else pixels.shape[2]), 8 * pixels.dtype.itemsize
    body = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    photometric = 0 if white_is_zero else 1 if bands == 1 else 2
    tags = [(256, 4, 1, w), (257, 4, 1, h), (258, 3, bands, bits), (259, 3, 1, 1),
            (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, bands), (278, 4, 1, h),
            (279, 4, 1, len(body)), (339, 3, bands, sample_format)]  # fmt: skip
    place = 8 + len(body)
    extra = place + 2 + 12 * len(tags) + 4
    entries, tail = b"", b""
    for tag, kind, count, value in tags:
        if count > 2:
            entries += struct.pack("<HHII", tag, kind, count, extra + len(tail))
            tail += struct.pack(f"<{count}H", *[value] * count)
        elif kind == 3:
            entries += struct.pack("<HHIHH", tag, kind, count, value, value if count == 2 else 0)
        else:
            entries += struct.pack("<HHII", tag, kind, count, value)
    head = struct.pack("<2sHI", b"II", 42, place)
    return head + body + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + tail


HALF = np.repeat([[1] * 4 + [0] * 4], 8, 0)  # white left
GREY = Image.fromarray((HALF * 255).astype(np.uint8))


def palette(colours: list[int], indices: np.ndarray = HALF) -> bytes:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colours)
    return encoded(image)


def alpha(opaque: np.ndarray) -> bytes:
    image = GREY.convert("RGBA")
    image.putalpha(Image.fromarray(opaque.astype(np.uint8)))
    return encoded(image)
