"""What coded pixels say of their size, and what they grow to, before they are decoded.

A container's head and the coded pixels in it each say a size, and a stranger may let them differ:
a decoder takes the memory of the latter, and only then can the two be compared.
"""

from __future__ import annotations

import lzma
import math
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from egsde.opened import MOST_PIXELS, UnreadableImage

RATIO = 1032  # deflate makes no more bytes of one
SMALL = 2**28 // RATIO  # packed bytes that may stay unchecked
UNPACKERS: dict[int, Callable[[], Any]] = {  # by TIFF's number of the compression
    8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor,
}  # fmt: skip
LZMA, PACKBITS = 34925, 32773
SIZES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame, and JPEG-LS'
ALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG's markers without a length


def check_tiff(page: Any, read: Callable[[int, int], bytes]) -> None:
    """UnreadableImage for a page whose tiles, or whose packed parts, are larger than it says.

    page: of tifffile; read(offset, count): bytes of the file.
    """
    tile = int(page.tilelength or 0) * int(page.tilewidth or 0) if page.is_tiled else 0
    if tile > MOST_PIXELS:
        raise UnreadableImage(f"tiles of {page.tilewidth}x{page.tilelength} pixels are too large")
    check_parts(page)
    kind = int(page.compression)
    most = max(int(page.nbytes), tile * page.samplesperpixel * page.dtype.itemsize)
    least = 0 if kind == LZMA else SMALL
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count > least and not _fits(kind, read(offset, count), most):
            raise UnreadableImage(f"a part of it holds more than the {most} bytes of its pixels")


def _fits(compression: int, packed: bytes, most: int) -> bool:
    if compression == PACKBITS:
        return runs(packed) <= most
    unpacker = UNPACKERS.get(compression)
    return unpacker is None or unpacks_to(unpacker(), packed, most)


def check_parts(page: Any) -> None:
    """UnreadableImage for a page with fewer strips or tiles than its size asks for."""
    there, asked = len(page.dataoffsets), math.prod(page.chunked)
    if there < asked:
        raise UnreadableImage(f"it is cut short: {there} of {asked} strips or tiles are there")


def runs(packed: bytes) -> int:
    """The bytes that PackBits makes of these."""
    made = at = 0
    while at < len(packed):
        head = packed[at]
        made += head + 1 if head < 128 else (257 - head) % 129
        at += head + 2 if head < 128 else 2 if head > 128 else 1
    return made


def unpacks_to(unpacker: Any, data: bytes, most: int) -> bool:
    """Whether packed bytes are at most so many unpacked, of which 16 MiB at once are held."""
    piece = min(2**24, most + 1)
    made = len(unpacker.decompress(data, piece))
    while made <= most and not unpacker.eof:
        rest = getattr(unpacker, "unconsumed_tail", b"")
        if not rest and getattr(unpacker, "needs_input", True):
            break
        made += len(unpacker.decompress(rest, piece))
    return made <= most


def check_frames(frames: Iterable[bytes], width: int, height: int) -> None:
    """UnreadableImage for a JPEG or JPEG 2000 whose own size is another than its container's."""
    for k, frame in enumerate(frames):
        found = stated(frame)
        if found is not None and found != (width, height):
            raise UnreadableImage(
                f"its frame {k} is coded as {found[0]}x{found[1]} pixels, and its head says "
                f"{width}x{height}; write it anew"
            )


def stated(frame: bytes) -> tuple[int, int] | None:
    """(width, height) of JPEG, JPEG-LS or JPEG 2000; None for what is none of these."""
    at = frame.find(b"\xff\x4f\xff\x51")  # of a codestream, alone or in a JP2
    if at >= 0 and (frame[:4] == b"\xff\x4f\xff\x51" or frame[4:8] == b"jP  "):
        right, low, left, top = (
            int.from_bytes(frame[at + i : at + i + 4], "big") for i in (8, 12, 16, 20)
        )
        return right - left, low - top
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in SIZES:
            high, wide = (int.from_bytes(frame[at + i : at + i + 2], "big") for i in (5, 7))
            return wide, high
        lone = marker in ALONE or marker == 0xFF
        at += (1 if marker == 0xFF else 2) if lone else 2 + _length(frame, at + 2)
    return None


def _length(frame: bytes, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "big")
