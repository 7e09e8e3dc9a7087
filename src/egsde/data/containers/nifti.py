"""NIfTI, .nii and .nii.gz, by nibabel: slices of the third axis; the header stays to the byte.

Numbers are those that are meant, stored * slope + intercept. A fourth axis is taken as channels.
"""

from __future__ import annotations

import gzip
import io
from typing import IO, Any

import numpy as np

from egsde.data.containers.base import Cut, Glance, Volume
from egsde.data.rasters import cast, checked
from egsde.opened import UnreadableImage
from egsde.optional import needed

HEAD = 2**16
START, REST = 2**26, 2**20  # bytes before the numbers (extensions) and after them
PACKED = b"\x1f\x8b"
RGB = (("R", "G", "B"), ("R", "G", "B", "A"))


class Nifti:
    """By nibabel; float64 where the header scales, else the stored type."""

    suffixes = (".nii", ".nii.gz")

    def glance(self, file: IO[bytes], cut: Cut) -> Glance:
        head = file.read(2)
        file.seek(0)
        start = gzip.GzipFile(fileobj=file).read(HEAD) if head == PACKED else file.read(HEAD)
        header = _header(start)
        shape = _shape(header, cut)
        dtype = header.get_data_dtype()
        plain = np.dtype(np.uint8) if dtype.names else dtype.newbyteorder("=")
        return Glance(shape, np.dtype(np.float64) if scaled(header) else plain, turned=True)

    def read(self, data: bytes, cut: Cut) -> Volume:
        packed = data.startswith(PACKED)
        file: Any = gzip.GzipFile(fileobj=io.BytesIO(data)) if packed else io.BytesIO(data)
        header = _header(data[:HEAD] if not packed else file.read(HEAD))
        count, height, width, channels = _shape(header, cut)
        dtype: Any = header.get_data_dtype()
        start, colours = int(header.get_data_offset()), dtype.names is not None
        shape = (width, height, count) if colours else (width, height, count, channels)
        size = int(np.prod(shape)) * dtype.itemsize
        file.seek(0)
        data = file.read(start + size + REST + 1)
        if len(data) > start + size + REST:
            raise UnreadableImage(f"more follows than the {size} bytes that its header says")
        if not 0 < start <= START or len(data) < start + size:
            raise UnreadableImage(f"it is cut short: {len(data)} bytes of {start + size}")
        raw = np.frombuffer(data, dtype, int(np.prod(shape)), start).reshape(shape, order="F")
        if colours:
            raw = np.stack([raw[name] for name in dtype.names], -1)
        stored = np.ascontiguousarray(raw.transpose(2, 1, 0, 3)).astype(raw.dtype.newbyteorder("="))
        checked(stored)
        slope, inter = scaled(header) or (1.0, 0.0)
        array = stored * slope + inter if scaled(header) else stored

        def written(made: np.ndarray) -> dict[str, bytes]:
            numbers = cast((made - inter) / slope, stored) if scaled(header) else made
            if colours:
                body = np.ascontiguousarray(numbers).tobytes()
            else:
                body = numbers.transpose(2, 1, 0, 3).astype(dtype).tobytes(order="F")
            whole = data[:start] + body + data[start + size :]
            return {"": gzip.compress(whole, 6, mtime=0) if packed else whole}

        return Volume(array, written)


def _header(start: bytes) -> Any:
    nibabel = needed("nibabel", "medical", "NIfTI")
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        try:
            header = kind.from_fileobj(io.BytesIO(start), check=False)
            header.get_data_dtype()
        except Exception:
            continue
        if header["magic"].item()[:3] in (b"n+1", b"n+2"):
            return header
    raise UnreadableImage("it is no NIfTI of one file (.nii, .nii.gz)")


def scaled(header: Any) -> tuple[float, float] | None:
    """Slope and intercept, where they change a number."""
    slope, inter = header.get_slope_inter()
    if slope is None or (slope, inter or 0.0) == (1.0, 0.0):
        return None
    return float(slope), float(inter or 0.0)


def _shape(header: Any, cut: Cut) -> tuple[int, int, int, int]:
    """(N, H, W, C); UnreadableImage for what is no volume of pictures."""
    found = tuple(int(n) for n in header.get_data_shape())
    dtype = header.get_data_dtype()
    while len(found) > 3 and found[-1] == 1:
        found = found[:-1]
    wide, high, count = (*found, 1, 1)[:3]
    if dtype.names is not None and tuple(dtype.names) in RGB and len(found) <= 3:
        return count, high, wide, len(dtype.names)
    if dtype.kind not in "uif":
        raise UnreadableImage(f"numbers of {dtype} are no pixels; save whole numbers or floats")
    if len(found) == 4 and found[3] == cut.channels:
        return count, high, wide, found[3]
    if len(found) == 4:
        raise UnreadableImage(
            f"it has four axes {found}, and data.channels={cut.channels}; data.channels={found[3]} "
            "takes the fourth as channels, or split it into volumes"
        )
    if len(found) > 4 or len(found) < 2:
        raise UnreadableImage(
            f"it has {len(found)} axes {found}; a volume has three, or four with channels; split it"
        )
    return count, high, wide, 1
