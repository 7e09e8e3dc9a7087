"""Opening a picture that anyone may have made: a fixed list of formats, and bounds before decoding.

Pillow's other plug-ins run programs (EPS runs Ghostscript) or are hardly ever looked at.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import IO

from PIL import Image

from egsde import avif

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
MOST_PIXELS = 2**26  # 8192 x 8192
MOST_BYTES = 2**29
PACKED = "12 is bzip2, 14 is LZMA"


class UnreadableImage(ValueError):
    """A file that is not an image, is cut short, or has pixels of unknown range."""


def opened(data: bytes) -> Image.Image:
    """The picture, not yet decoded; raises UnreadableImage where it is too large."""
    check_bytes(len(data))
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
        known = [name for name in FORMATS if name in Image.OPEN]
        image = Image.open(io.BytesIO(data), formats=known)
    for width, height in (image.size, *_coded(image, data)):
        if width * height > MOST_PIXELS:
            raise UnreadableImage(
                f"{width}x{height} pixels, more than {MOST_PIXELS}: shrink it first"
            )
    return image


def _coded(image: Image.Image, data: bytes) -> list[tuple[int, int]]:
    """What the frames of an AVIF state, of which Pillow looks at the box around them alone."""
    try:
        return avif.sizes(data) if image.format == "AVIF" else []
    except (ValueError, IndexError, KeyError) as error:
        raise UnreadableImage(f"its coded frames cannot be told: {error}") from error


def check_bytes(count: int) -> None:
    """Raises UnreadableImage for a file that is too large for a picture."""
    if count > MOST_BYTES:
        raise UnreadableImage(f"{count} bytes, more than {MOST_BYTES}, which no picture here has")


def picture_bytes(path: Path) -> bytes:
    """A file's bytes; raises UnreadableImage for what is none (a pipe or a device has no end)."""
    if not path.is_file():
        raise UnreadableImage("not a file" if path.exists() else "no such file")
    check_bytes(path.stat().st_size)
    return path.read_bytes()


def check_zip(file: IO[bytes]) -> None:
    """Raises UnreadableImage for an archive of arrays that grows too large when it is opened."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            check_packing(info)
        check_bytes(sum(info.file_size for info in archive.infolist()))


def check_packing(info: zipfile.ZipInfo) -> None:
    """Raises UnreadableImage for what bzip2 or LZMA has packed: a few bytes unpack to gigabytes at
    once, whatever the archive says of its size."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableImage(
            f"{info.filename} is packed by method {info.compress_type} ({PACKED}), which is not "
            "read; pack it anew, as zip does by itself"
        )


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes, unpacked no further than the archive says; raises UnreadableImage where
    that is too much, zipfile.BadZipFile where it is not true."""
    info = archive.getinfo(name)
    check_packing(info)
    check_bytes(info.file_size)
    with archive.open(info) as file:
        return file.read(info.file_size)  # without a number zipfile unpacks all that is there
