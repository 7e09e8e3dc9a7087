"""The kinds of files: PNG, TIFF, NumPy's arrays; any other that Pillow reads is written as PNG.

8-bit pictures of three channels become sRGB over white, upright, as viewers show them; those of
other channels and depths keep their numbers, and their colour profile goes into what is written.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

from egsde.data.deep_tiff import Tiff
from egsde.data.depth import deep_pixels
from egsde.data.images import FRAMES, HIGHEST, decode
from egsde.data.rasters import Kind, Raster, checked, shaped, unshaped, upright
from egsde.opened import UnreadableImage, check_zip, member, opened

ORIENTATION = 0x0112
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels
ANIMATED = ("PNG", "WEBP", "AVIF")  # whose first frame is a picture: no containers, as GIFs are
ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


class Png:
    """What Pillow reads, written as PNG: 8 or 16 bits, one to four channels."""

    suffixes: tuple[str, ...] = (".png",)
    holds_text = True

    def read(self, data: bytes, channels: int) -> Raster:
        image = opened(data)
        count = getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
        found = self._read(image, data, channels)
        return replace(found, notes={**found.notes, FRAMES: count}) if count > 1 else found

    def _read(self, image: Image.Image, data: bytes, channels: int) -> Raster:
        deep = deep_pixels(image, data)
        turned = image.getexif().get(ORIENTATION, 1)
        kept = {"icc": image.info.get("icc_profile"), "dots": dots(image.info, turned)}
        if deep is not None:
            pixels = upright(deep.astype(np.uint16), turned)
            alpha = pixels.shape[2] in (2, 4)
            return Raster(pixels, self, kept, alpha, {HIGHEST: int(deep.max())})
        if channels == 3:
            picture = decode(data)
            kept["icc"] = None  # it is sRGB by now
            return Raster(np.asarray(picture), self, kept, notes=dict(picture.info))
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode == "CMYK" and channels == 4:
            return Raster(np.asarray(image), self, kept)
        if "transparency" in image.info or image.mode in ALPHA:
            grey = image.mode in ("L", "LA", "La")
            image = image.convert("LA" if grey else "RGBA")
        elif image.mode != "L":
            image = image.convert("L" if image.mode == "1" else "RGB")
        pixels = np.asarray(image)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        return Raster(pixels, self, kept, alpha=image.mode in ("LA", "RGBA"))

    def write(self, raster: Raster, text: Mapping[str, str]) -> bytes:
        """Filter Up and deflate, which Pillow has not for 16 bits; ValueError for other depths."""
        pixels = raster.pixels
        height, width, channels = pixels.shape
        if channels not in COLOUR_TYPE or pixels.dtype.name not in ("uint8", "uint16"):
            raise ValueError(f"a PNG cannot hold {channels} channels of {pixels.dtype.name}")
        bits = 8 * pixels.dtype.itemsize
        rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
        above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
        lines = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], 1)  # filter Up
        head = struct.pack(">IIBBBBB", width, height, bits, COLOUR_TYPE[channels], 0, 0, 0)
        chunks = [(b"IHDR", head)]
        if icc := raster.kept.get("icc"):
            chunks.append((b"iCCP", b"profile\0\0" + zlib.compress(icc)))
        if per_metre := raster.kept.get("dots"):
            chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
        chunks += [
            (b"tEXt", key.encode("latin-1") + b"\0" + value.encode("latin-1"))
            for key, value in text.items()
        ]
        chunks += [(b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )

    def text(self, data: bytes) -> dict[str, str]:
        return {str(key): str(value) for key, value in opened(data).info.items()}


def dots(info: Mapping[Any, Any], orientation: int) -> tuple[int, int] | None:
    """Pixels per metre of a picture that is upright by now, across and down, where it says so."""
    try:
        across, down = (round(float(inch) / 0.0254) for inch in info["dpi"])
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    found = (down, across) if orientation in (5, 6, 7, 8) else (across, down)
    return found if all(0 < n < 2**31 for n in found) else None


class Npy:
    """An array (H, W), (H, W, C) or (C, H, W) of NumPy."""

    suffixes = (".npy",)
    holds_text = False

    def read(self, data: bytes, channels: int) -> Raster:
        array = numbers(data)
        pixels, axis = shaped(checked(array), channels)
        return Raster(pixels, self, {"axis": axis, "dtype": array.dtype})

    def write(self, raster: Raster, text: Mapping[str, str]) -> bytes:
        buffer = io.BytesIO()
        pixels = unshaped(raster.pixels, raster.kept["axis"])
        np.save(buffer, pixels.astype(raster.kept["dtype"]), allow_pickle=False)
        return buffer.getvalue()

    def text(self, data: bytes) -> dict[str, str]:
        return {}


class Npz:
    """The one array of an archive, or that called "image"; all others stay as they are."""

    suffixes = (".npz",)
    holds_text = False

    def read(self, data: bytes, channels: int) -> Raster:
        array, kept = unpacked(data)
        pixels, axis = shaped(checked(array), channels)
        return Raster(pixels, self, {"axis": axis, **kept})

    def write(self, raster: Raster, text: Mapping[str, str]) -> bytes:
        return packed(unshaped(raster.pixels, raster.kept["axis"]), raster.kept)

    def text(self, data: bytes) -> dict[str, str]:
        return {}


def head_of(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array of a .npy file, whose numbers come next."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else \
        np.lib.format.read_array_header_2_0  # fmt: skip
    shape, _, dtype = read(file)
    return shape, dtype


def numbers(data: bytes) -> np.ndarray:
    """The array of a .npy file; UnreadableImage where it is none of numbers, or cut short."""
    file = io.BytesIO(data)
    try:
        shape, dtype = head_of(file)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize > len(data) - file.tell():
            raise UnreadableImage(f"it is cut short: its head says {shape} of {dtype}")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    except UnreadableImage:
        raise
    except ValueError as error:
        if "pickle" in str(error) or "Object" in str(error):
            why = "it holds Python objects, or no header that is safe to read; save numbers alone"
            raise UnreadableImage(why) from error
        raise UnreadableImage(f"it is no .npy file of numbers: {error}") from error


def unpacked(data: bytes) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of an archive that is a picture, and what else it holds."""
    check_zip(io.BytesIO(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        small = any(m.compress_type != zipfile.ZIP_STORED for m in archive.infolist())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = {name[:-4]: numbers(member(archive, name)) for name in names}
    name = next(iter(arrays), "") if len(arrays) == 1 else "image"
    if name not in arrays:
        raise UnreadableImage(
            f"it holds the arrays {', '.join(arrays) or 'none'}; call the picture image"
        )
    return arrays[name], {"name": name, "arrays": arrays, "packed": small}


def packed(pixels: np.ndarray, kept: Mapping[str, Any]) -> bytes:
    """The archive with another array in place of the picture, in its type."""
    buffer = io.BytesIO()
    save = np.savez_compressed if kept["packed"] else np.savez
    dtype = kept["arrays"][kept["name"]].dtype
    save(buffer, **(kept["arrays"] | {kept["name"]: pixels.astype(dtype)}))
    return buffer.getvalue()


PNG, TIFF = Png(), Tiff(Png())
KINDS: dict[str, Kind] = {
    suffix: kind for kind in (PNG, TIFF, Npy(), Npz()) for suffix in kind.suffixes
}


def kind_of(name: str) -> Kind:
    """The kind of a file by its name; PNG for pictures of other kinds, lossy ones among them."""
    return KINDS.get(PurePosixPath(name).suffix.lower(), PNG)


def raster(name: str, data: bytes, channels: int = 3) -> Raster:
    """The pixels of a file with so many channels; UnreadableImage with the reason."""
    try:
        return kind_of(name).read(data, channels).of(channels)
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ...
        reason = "not an image" if "BytesIO" in str(error) else str(error)
        raise UnreadableImage(reason) from error
