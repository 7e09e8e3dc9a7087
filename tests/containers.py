"""Volumes and clips of every kind, with what has to come out again beside their numbers."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import tifffile

from egsde.data.containers.gif import animated

AFFINE = np.array([[0.0, -0.8, 0, 10], [0.7, 0, 0.1, -20], [0, 0, 2.5, 5], [0, 0, 0, 1]])


def tiff(path: Path, stack: np.ndarray) -> None:
    """(N, H, W, C), each page with tags of its own."""
    with tifffile.TiffWriter(path, byteorder=">") as writer:
        for k, page in enumerate(stack):
            colour = page.shape[2] == 3 and page.dtype.kind == "u"
            flat = page[..., 0] if page.shape[2] == 1 else page
            extra = {"planarconfig": "contig"} if page.shape[2] > 1 else {}
            writer.write(
                flat, photometric="rgb" if colour else "minisblack", metadata=None, **extra,
                description=f"slice {k}", resolution=(30, 20),
                extratags=[(33550, 12, 3, (10.0, 10.0, float(k)), True)],
            )  # fmt: skip


def npy(path: Path, stack: np.ndarray) -> None:
    np.save(path, stack[..., 0] if stack.shape[3] == 1 else stack)


def npz(path: Path, stack: np.ndarray) -> None:
    flat = stack[..., 0] if stack.shape[3] == 1 else stack
    np.savez(path, image=flat, spacing=np.ones(3))


def nifti(path: Path, stack: np.ndarray, slope: float = 1.0, inter: float = 0.0) -> None:
    import nibabel

    flat = stack[..., 0].transpose(2, 1, 0) if stack.shape[3] == 1 else stack.transpose(2, 1, 0, 3)
    image = nibabel.Nifti1Image(flat, AFFINE, dtype=stack.dtype)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"a scan"
    if (slope, inter) != (1.0, 0.0):
        image.header.set_slope_inter(slope, inter)
    image.header.set_data_dtype(stack.dtype)
    data = io.BytesIO()
    image.header.write_to(data)
    head = bytearray(data.getvalue().ljust(352, b"\0"))
    head[108:112] = np.float32(352).tobytes()
    if (slope, inter) != (1.0, 0.0):
        head[112:116], head[116:120] = np.float32(slope).tobytes(), np.float32(inter).tobytes()
    import gzip

    whole = bytes(head) + flat.astype(stack.dtype).tobytes(order="F")
    path.write_bytes(gzip.compress(whole) if path.suffix == ".gz" else whole)


def dicom(
    folder: Path, stack: np.ndarray, slope: float = 1, inter: float = 0, series: str = "1.2.3",
    grey: str = "MONOCHROME2",
):  # fmt: skip
    """Files whose names do not sort as they lie."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir(parents=True, exist_ok=True)
    for k, pixels in enumerate(stack):
        one, meta = Dataset(), FileMetaDataset()
        meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"{series}.{k + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta, one.SeriesInstanceUID, one.StudyInstanceUID = meta, series, "1.2"
        one.FrameOfReferenceUID, one.Modality, one.PatientName = "1.9", "CT", "A^B"
        one.InstanceNumber, one.SliceThickness, one.PixelSpacing = k + 1, "2.5", ["0.8", "0.7"]
        one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        one.ImagePositionPatient = ["-10", "5", str(2.5 * k)]
        one.Rows, one.Columns, one.SamplesPerPixel = *pixels.shape[:2], pixels.shape[2]
        one.PhotometricInterpretation = grey if pixels.shape[2] == 1 else "RGB"
        if pixels.shape[2] > 1:
            one.PlanarConfiguration = 0
        one.BitsAllocated = one.BitsStored = 8 * pixels.dtype.itemsize
        one.HighBit, one.PixelRepresentation = one.BitsStored - 1, int(pixels.dtype.kind == "i")
        one.RescaleSlope, one.RescaleIntercept = str(slope), str(inter)
        body, vr = pixels.tobytes(), "OB" if pixels.dtype.itemsize == 1 else "OW"
        one.add_new(0x7FE00010, vr, body + b"\0" * (len(body) % 2))
        one.save_as(folder / f"IM{len(stack) - k:03d}.dcm", enforce_file_format=True)


def dicom_frames(path: Path, stack: np.ndarray) -> None:
    """One file of several frames."""
    import pydicom

    dicom(path.parent / "frame", stack[:1])
    one = pydicom.dcmread(next((path.parent / "frame").iterdir()))
    for file in (path.parent / "frame").iterdir():
        file.unlink()
    (path.parent / "frame").rmdir()
    one.NumberOfFrames = len(stack)
    one.PixelData = stack.tobytes()
    one.save_as(path, enforce_file_format=True)


def gif(path: Path, stack: np.ndarray) -> None:
    times = [40 + 10 * k for k in range(len(stack))]
    path.write_bytes(animated(stack, times, 3, b"a clip"))


def video(path: Path, stack: np.ndarray, rate: Fraction = Fraction(30000, 1001)) -> None:
    """In H.264 of players, 4:2:0 and lossy."""
    import av

    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    with av.open(str(path), "w") as clip:
        stream = clip.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *stack.shape[1:3], "yuv420p"
        for pixels in stack:
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        clip.mux(stream.encode())


def frames(path: Path) -> tuple[np.ndarray, Fraction]:
    import av

    with av.open(str(path)) as clip:
        rate = clip.streams.video[0].average_rate
        return np.stack([f.to_ndarray(format="rgb24") for f in clip.decode(video=0)]), rate
