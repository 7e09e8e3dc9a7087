"""The sizes that an AVIF's coded frames state, read before anything is decoded.

Its decoder takes the memory of the frames, whatever the boxes around them say (ISO/IEC 23008-12
for the boxes, the AV1 specification, section 5.5, for a frame's head).
"""

from __future__ import annotations

from collections.abc import Iterator

HEAD_OF_SEQUENCE = 1  # of OBUs
MOST_ITEMS = 2**12
Boxes = Iterator[tuple[bytes, int, int]]


class Bits:
    """Unsigned numbers of so many bits, one after another; IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def __call__(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.data[self.at >> 3] >> (7 - self.at % 8) & 1
            self.at += 1
        return value


def sizes(data: bytes) -> list[tuple[int, int]]:
    """(width, height) of every coded item, of the grids that they are put together to, and of the
    first frame of each animation. ValueError where one of them states none."""
    found: list[tuple[int, int]] = []
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"meta":
            found += _items(data, dict(_inner(data, start + 4, end)))
        elif name == b"moov":
            found += _tracks(data, start, end)
    if not found:
        raise ValueError("it has no coded frames")
    return found


def boxes(data: bytes, at: int, end: int) -> Boxes:
    """(name, start, end) of the content of each box."""
    while at + 8 <= end:
        size, head = _int(data, at, 4), 8
        if size == 1:
            size, head = _int(data, at + 8, 8), 16
        size = size or end - at
        if size < head or at + size > end:
            return
        yield data[at + 4 : at + 8], at + head, at + size
        at += size


def _inner(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    return ((name, (first, last)) for name, first, last in boxes(data, start, end))


def _int(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "big")


def _items(data: bytes, meta: dict[bytes, tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Of a meta box, by the kinds of its items."""
    start, end = meta.get(b"iinf", (0, 0))
    kinds: dict[int, bytes] = {}
    for _, at, _ in boxes(data, start + (8 if data[start] else 6), end):
        wide = 4 if data[at] == 3 else 2
        kinds[_int(data, at + 4, wide)] = data[at + 6 + wide : at + 10 + wide]
    for item, content in _located(data, *meta.get(b"iloc", (0, 0)), meta.get(b"idat", (0, 0))[0]):
        if kinds.get(item) == b"av01":
            yield from coded(content)
        elif kinds.get(item) == b"grid":
            wide = 4 if content[1] & 1 else 2
            yield _int(content, 4, wide), _int(content, 4 + wide, wide)


def _located(data: bytes, at: int, end: int, idat: int) -> Iterator[tuple[int, bytes]]:
    """Items and their bytes, by an iloc box."""
    version, widths, more = data[at], data[at + 4], data[at + 5]
    base_wide, index_wide = more >> 4, more & 15 if version else 0
    wide = 4 if version == 2 else 2
    count, at = _int(data, at + 6, wide), at + 6 + wide
    for _ in range(min(count, MOST_ITEMS)):
        item, at = _int(data, at, wide), at + wide
        inside = version > 0 and _int(data, at, 2) & 15 == 1
        at += 4 if version else 2
        base, at = _int(data, at, base_wide) + (idat if inside else 0), at + base_wide
        extents, at = _int(data, at, 2), at + 2
        content = b""
        for _ in range(extents):
            if at > end:
                raise ValueError("a box in it is cut short")
            at += index_wide
            place, at = base + _int(data, at, widths >> 4), at + (widths >> 4)
            size, at = _int(data, at, widths & 15), at + (widths & 15)
            content += data[place : place + size] if size else data[place:]
            if len(content) > len(data):
                raise ValueError("an item of it is larger than the file")
        yield item, content


def _tracks(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Of the first sample of each track."""
    for name, first, last in boxes(data, start, end):
        if name in (b"trak", b"mdia", b"minf"):
            yield from _tracks(data, first, last)
        elif name == b"stbl":
            table = dict(_inner(data, first, last))
            wide = 8 if b"co64" in table else 4
            place = _int(data, table.get(b"co64", table.get(b"stco", (0, 0)))[0] + 8, wide)
            size = _int(data, table[b"stsz"][0] + 4, 4) or _int(data, table[b"stsz"][0] + 12, 4)
            yield from coded(data[place : place + size])


def coded(frames: bytes) -> list[tuple[int, int]]:
    """Of a chain of OBUs; ValueError where none of them says a size."""
    found, at = [], 0
    while at < len(frames):
        head = frames[at]
        at += 2 if head & 4 else 1
        size = len(frames) - at
        if head & 2:
            size = shift = 0
            while shift < 56:
                byte = frames[at]
                size, at, shift = size | (byte & 127) << shift, at + 1, shift + 7
                if byte < 128:
                    break
        if head >> 3 & 15 == HEAD_OF_SEQUENCE:
            found.append(_stated(Bits(frames[at : at + size])))
        at += size
    if not found:
        raise ValueError("its coded frames say no size")
    return found


def _stated(bits: Bits) -> tuple[int, int]:
    """max_frame_width and max_frame_height of a sequence_header_obu."""
    bits(4)
    if bits(1):  # reduced_still_picture_header
        bits(5)
    else:
        _operating_points(bits)
    wide, high = bits(4) + 1, bits(4) + 1
    return bits(wide) + 1, bits(high) + 1


def _operating_points(bits: Bits) -> None:
    delay = 0
    if bits(1):  # timing_info
        bits(64)
        if bits(1):  # equal_picture_interval, a number of its own length
            zeros = 0
            while not bits(1):
                zeros += 1
            bits(zeros if zeros < 32 else 0)
        if bits(1):  # decoder_model_info
            delay = bits(5) + 1
            bits(42)
    shown = bits(1)
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits(1)
        if delay and bits(1):
            bits(2 * delay + 1)
        if shown and bits(1):
            bits(4)
