"""DICOM, by pydicom: the files of one series, or one file of several frames.

Numbers are those that are meant, stored * slope + intercept. Where these have no unit (1 and 0),
the highest is white: those of MONOCHROME1 are turned. What is written has new pixels and new UIDs
of the images and of the series; patient, study, geometry and all else stay.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from egsde.data.coded import check_frames, stated
from egsde.data.containers.base import Glance, Volume
from egsde.data.images import HIGHEST
from egsde.data.rasters import cast
from egsde.opened import UnreadableImage
from egsde.optional import needed

SUFFIXES = (".dcm", ".dicom", ".ima")
DEFLATED = "1.2.840.10008.1.2.1.99"
MAGIC, AT = b"DICM", 128


def named(path: str) -> bool:
    """Whether a file's name is one of DICOM, or says nothing: IM000001, 1.2.840.1."""
    return path.lower().endswith(SUFFIXES)


def nameless(path: str) -> bool:
    """A name without a suffix, or a UID: its first bytes tell."""
    name = path.rpartition("/")[2]
    return "." not in name or all(part.isdigit() for part in name.split("."))


def head(file: IO[bytes]) -> Any:
    """All but the pixels."""
    return _opened(file, stop_before_pixels=True)


def _opened(file: Any, **options: Any) -> Any:
    """What is packed as a whole is not unpacked, however small it is."""
    pydicom = needed("pydicom", "medical", "DICOM")
    from pydicom.filereader import _read_file_meta_info, read_preamble

    try:
        read_preamble(file, False)
        syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
        file.seek(0)
        if syntax != DEFLATED:
            return pydicom.dcmread(file, **options)
    except Exception as error:
        raise UnreadableImage(f"it is no DICOM: {error}") from error
    raise UnreadableImage("it is deflated; write it anew uncompressed: dcmconv +te in.dcm out.dcm")


def place(header: Any) -> tuple[Any, ...]:
    """What the slices of a series are sorted by: along the normal, else their number."""
    try:
        row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        along = float(np.cross(row, column) @ np.array(header.ImagePositionPatient, float))
        return (0, round(along, 4), _number(header))
    except (AttributeError, TypeError, ValueError):
        return (1, _number(header), 0)


def _number(header: Any) -> int:
    try:
        return int(header.get("InstanceNumber") or 0)
    except (TypeError, ValueError):
        return 0


def meant(header: Any) -> tuple[float, float]:
    """Slope and intercept."""
    slope = float(header.get("RescaleSlope", 1) or 1)
    inter = float(header.get("RescaleIntercept", 0) or 0)
    if not np.isfinite([slope, inter]).all():
        raise UnreadableImage(f"its numbers are scaled by {slope} and {inter}")
    return slope, inter


def dtype_of(headers: Sequence[Any]) -> np.dtype:
    """Of the numbers that are meant."""
    first = headers[0]
    signed, bits = int(first.get("PixelRepresentation", 0)), int(first.get("BitsAllocated", 16))
    stored = np.dtype(f"{'i' if signed else 'u'}{max(bits, 8) // 8}")
    scales = {meant(h) for h in headers}
    if scales == {(1.0, 0.0)}:
        return stored
    whole = all(float(v).is_integer() for scale in scales for v in scale)
    return np.dtype(np.int32 if whole else np.float64)


def glance(headers: Sequence[Any]) -> Glance:
    """Of the files of one series; UnreadableImage where they are not alike."""
    try:
        return _glance(headers)
    except UnreadableImage:
        raise
    except Exception as error:  # an entry that is no number raises whatever pydicom makes of it
        raise UnreadableImage(f"its header is damaged: {error}") from error


def _glance(headers: Sequence[Any]) -> Glance:
    shapes = {(int(h.get("Rows", 0)), int(h.get("Columns", 0)), int(h.get("SamplesPerPixel", 1)),
               int(h.get("BitsAllocated", 0)), int(h.get("PixelRepresentation", 0)))
              for h in headers}  # fmt: skip
    if len(shapes) > 1:
        told = ", ".join(f"{h}x{w} of {s} samples, {b} bits" for h, w, s, b, _ in sorted(shapes))
        raise UnreadableImage(f"the slices of one series are of mixed shapes ({told}); split them")
    ((height, width, samples, bits, _),) = shapes
    if not height or not width or bits not in (8, 16, 32):
        raise UnreadableImage(f"it holds no pixels ({height}x{width}, {bits} bits)")
    if str(headers[0].get("PhotometricInterpretation", "")).startswith("PALETTE"):
        raise UnreadableImage("pixels of a palette; convert it to RGB or MONOCHROME2")
    frames = sum(int(h.get("NumberOfFrames", 1) or 1) for h in headers)
    return Glance((frames, height, width, samples), dtype_of(headers))


def read(files: Mapping[str, bytes]) -> Volume:
    """The files of one series by their paths, as they are sorted."""
    sets = {path: _opened(io.BytesIO(data)) for path, data in files.items()}
    dtype, shape = dtype_of(list(sets.values())), glance(list(sets.values())).shape
    stored = {path: _pixels(one, shape) for path, one in sets.items()}
    parts = []
    for path, one in sets.items():
        slope, inter = meant(one)
        values = stored[path] if dtype == stored[path].dtype else stored[path] * slope + inter
        parts.append(values.astype(dtype))
    array = np.concatenate(parts)

    def written(made: np.ndarray) -> dict[str, bytes]:
        found, start = {}, 0
        series = _uid(str(sets[next(iter(sets))].get("SeriesInstanceUID", "")), made.tobytes())
        for path, data in files.items():
            count = len(stored[path])
            one = _opened(io.BytesIO(data))
            found[path] = _anew(one, made[start : start + count], stored[path], series)
            start += count
        return found

    notes = {HIGHEST: int(array.max())} if dtype == np.uint16 else None
    return Volume(array, written, notes=notes)


def _pixels(one: Any, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Stored numbers (N, H, W, C), turned where the lowest is white."""
    try:
        _check_coded(one, shape)
        array = _turned(one, one.pixel_array)
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(
            f"its pixels cannot be read: {error}; decompress it, or install what pydicom names"
        ) from error
    return np.ascontiguousarray(array.reshape(-1, *shape[1:]))


def _turned(one: Any, stored: np.ndarray) -> np.ndarray:
    """The other way round where the lowest number is white, which is its own way back."""
    kind = str(one.get("PhotometricInterpretation", ""))
    if kind != "MONOCHROME1" or meant(one) != (1, 0):
        return stored
    if stored.dtype.kind == "i":
        return -1 - stored
    return stored.dtype.type(2 ** int(one.get("BitsStored", 16)) - 1) - stored


def _check_coded(one: Any, shape: tuple[int, int, int, int]) -> None:
    """UnreadableImage where a coded frame is of another size than the head says."""
    from pydicom.encaps import generate_frames

    syntax = one.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    raw = int(np.prod(shape[1:])) * max(int(one.BitsAllocated), 8) // 8
    count = int(one.get("NumberOfFrames", 1) or 1)
    frames = list(generate_frames(one.PixelData, number_of_frames=count))
    if any(stated(frame) is None and len(frame) > raw + raw // 50 + 2**10 for frame in frames):
        raise UnreadableImage(f"a frame of it holds more than the {raw} bytes of its pixels")
    check_frames(frames, shape[2], shape[1])


def _anew(one: Any, values: np.ndarray, stored: np.ndarray, series: str) -> bytes:
    """The file with other numbers, uncompressed."""
    from pydicom.uid import ExplicitVRLittleEndian

    slope, inter = meant(one)
    bits, signed = int(one.get("BitsStored", 16)), int(one.get("PixelRepresentation", 0))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    numbers = np.rint((values.astype(np.float64) - inter) / slope)
    low, high = min(low, int(stored.min())), max(high, int(stored.max()))
    pixels = _turned(one, cast(numbers.clip(low, high), stored))
    syntax = one.file_meta.TransferSyntaxUID
    if syntax.is_compressed or not syntax.is_little_endian:
        syntax = ExplicitVRLittleEndian
    one.file_meta.TransferSyntaxUID = syntax
    if int(one.get("SamplesPerPixel", 1)) > 1:
        one.PlanarConfiguration, one.PhotometricInterpretation = 0, "RGB"
    body = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    vr = "OB" if pixels.dtype.itemsize == 1 and not syntax.is_implicit_VR else "OW"
    one.add_new(0x7FE00010, vr, body + b"\0" * (len(body) % 2))
    one.SOPInstanceUID = _uid(str(one.get("SOPInstanceUID", "")), body)
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.SeriesInstanceUID = series
    rest = list(one.get("ImageType") or ["", "PRIMARY"])[1:] or ["PRIMARY"]
    one.ImageType = ["DERIVED", *rest]
    one.DerivationDescription = "translated by egsde; not for diagnosis"
    for name in ("SmallestImagePixelValue", "LargestImagePixelValue", "LossyImageCompression"):
        if name in one and name != "LossyImageCompression":
            delattr(one, name)
    buffer = io.BytesIO()
    one.save_as(buffer, enforce_file_format=True, implicit_vr=syntax.is_implicit_VR,
                little_endian=True)  # fmt: skip
    return buffer.getvalue()


def _uid(before: str, body: bytes) -> str:
    """A UID of its own that the same translation has again."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[before, hashlib.sha256(body).hexdigest()]))
