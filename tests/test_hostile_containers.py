"""Volumes, clips and arrays from a stranger: sizes are known before memory is taken, no other file
or address is opened, nothing runs, and each answer names the file."""

from __future__ import annotations

import gzip
import io
import pickle
import socket
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import containers
from egsde import opened
from egsde.data import Folders, TwoDomains
from egsde.data.containers.video import demuxer
from egsde.evaluation.pages import load_trajectory
from egsde.opened import UnreadableImage, picture_bytes
from test_hostile import MARK, Runs

MOST = 24 * 2**20  # bytes that an answer may take
ZEROS = np.zeros((3, 8, 8, 1), np.uint8)


def answered(path: Path, channels: int = 1, ends=None, called: str | None = None) -> str:
    """What a module of these data says, which names the file."""
    store = Folders(fit="native", channels=channels, range=ends)
    data = TwoDomains(store, str(path), "none", size=8, channels=channels, range=ends,
                      fit="native", batch_size=2)  # fmt: skip
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, OSError)) as found:
            list(data.translation_loader("test"))
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    said = str(found.value)
    assert (
        (called or path.name) in said and "Traceback" not in said and "allow_pickle" not in said
    ), said
    return said


# Numbers that a header promises, and numbers that are there.


def nifti_head(path: Path, shape, code: int = 2, offset: float = 352, body: bytes = b"") -> None:
    containers.nifti(path, ZEROS)
    data = path.read_bytes()
    head = bytearray(gzip.decompress(data)[:352] if path.suffix == ".gz" else data[:352])
    struct.pack_into("<8h", head, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<2h", head, 70, code, 64 if code == 64 else 8)
    struct.pack_into("<f", head, 108, offset)
    whole = bytes(head) + body
    path.write_bytes(gzip.compress(whole) if path.suffix == ".gz" else whole)


NIFTI = {
    "more than there is": {"shape": (8, 8, 3)},
    "too many": {"shape": (32000, 32000, 32000)},
    "too many bytes": {"shape": (8192, 8192, 8), "code": 64},
    "negative": {"shape": (-8, 8, 3), "body": bytes(192)},
    "none": {"shape": (0, 8, 3), "body": bytes(192)},
    "far away": {"shape": (8, 8, 3), "offset": 1e30, "body": bytes(192)},
    "before": {"shape": (8, 8, 3), "offset": -352.0, "body": bytes(192)},
    "nowhere": {"shape": (8, 8, 3), "offset": float("nan"), "body": bytes(192)},
    "complex": {"shape": (8, 8, 3), "code": 32, "body": bytes(8 * 192)},
    "a bomb": {"shape": (8, 8, 3), "body": bytes(2**25)},
}


@pytest.mark.parametrize("name", NIFTI)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_headers_of_nifti(tmp_path, name, suffix):
    pytest.importorskip("nibabel")
    if (name, suffix) == ("a bomb", ".nii"):
        return  # as large as it says
    path = tmp_path / f"scan{suffix}"
    nifti_head(path, **NIFTI[name])
    answered(path)


def npy_head(shape: str, kind: str = "|u1", body: bytes = b"") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + body


ARRAYS = {
    "too many": npy_head("(3, 9000000, 9000000)"),
    "negative": npy_head("(3, -8, 8)", body=bytes(192)),
    "no numbers": npy_head("(3, 8, 'a')"),
    "cut": npy_head("(3, 2000, 2000)"),
    "objects": npy_head("(3, 8, 8)", "|O", pickle.dumps(Runs(Path(MARK)))),
    "records": npy_head("(3, 8, 8)", "[('a', '|O')]"),
    "code": npy_head("__import__('os').system('touch made_by_a_stranger')"),
    "deep": npy_head("(" * 500 + ")" * 500),
    "long": npy_head("(3, 8, 8)" + " " * 60000),
    "text": npy_head("(3, 8, 8)", "<U4", bytes(16 * 192)),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_numpy(tmp_path, name, suffix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"stack{suffix}"
    if suffix == ".npy":
        path.write_bytes(ARRAYS[name])
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("image.npy", ARRAYS[name])
    answered(path, ends=[0, 255])
    assert not (tmp_path / MARK).exists()


def test_archives_of_arrays_that_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "MOST_BYTES", 2**21)
    path = tmp_path / "stack.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", npy_head("(3, 8, 8)", body=bytes(192)))
        with archive.open("other.npy", "w", force_zip64=True) as member:
            member.write(npy_head(f"({3 * 2**20},)"))
            for _ in range(3):
                member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    answered(path)
    assert load_trajectory(path) is None


def test_pickles_under_names_of_pictures(tmp_path):
    mark = tmp_path / MARK
    for name in ("a.npy", "a.npz", "a.png", "a.tif", "a.gif"):
        (tmp_path / name).write_bytes(pickle.dumps(Runs(mark)))
        answered(tmp_path / name, 3)
    assert not mark.exists()


# Clips: a playlist is a program that opens what it names.

PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {} RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{}</BaseURL></Period></MPD>',
    "asx": "[Reference]\nRef1={}\n",
}


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "webm"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_no_clips(tmp_path, kind, suffix):
    """Neither the file that they name is read nor the address asked."""
    pytest.importorskip("av")
    containers.video(tmp_path / "other.mp4", np.zeros((2, 16, 16, 3), np.uint8))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        port = server.getsockname()[1]
        places = [port] if kind == "sdp" else [
            tmp_path / "other.mp4", f"http://127.0.0.1:{port}/a.mp4"]  # fmt: skip
        for place in places:
            path = tmp_path / f"clip.{suffix}"
            path.write_text(PLAYLISTS[kind].format(place))
            assert "whatever its name says" in answered(path, 3)
        with pytest.raises(TimeoutError):
            server.accept()


def test_clips_under_the_name_of_another_kind(tmp_path):
    """They are opened by their first bytes."""
    pytest.importorskip("av")
    containers.video(tmp_path / "a.mkv", np.zeros((2, 16, 16, 3), np.uint8))
    path = (tmp_path / "a.mkv").rename(tmp_path / "a.mp4")
    store = Folders(fit="native", channels=3)
    data = TwoDomains(store, str(path), "none", size=16, channels=3, fit="native", batch_size=2)
    assert next(iter(data.translation_loader("test")))["x0"].shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    "head", [b"", b"moov", b"RIFF0000WAVE", b"GIF89a", b"\x1aE\xdf", bytes(12)]
)
def test_only_three_kinds_of_clips(head):
    with pytest.raises(UnreadableImage, match="AVI"):
        demuxer(head)


# TIFF, DICOM, GIF, pictures.


def test_other_files_that_a_tiff_names(tmp_path):
    """OME's notes may say that pages lie in other files."""
    other, path = tmp_path / "other.ome.tif", tmp_path / "a.ome.tif"
    tifffile.imwrite(other, np.zeros((3, 8, 8), np.uint8), metadata={"axes": "ZYX"})
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        notes = file.ome_metadata
    assert notes is not None
    named = notes.replace("<TiffData", f'<TiffData FirstZ="0"><UUID FileName="{other}">urn:uuid:1'
                          "</UUID></TiffData><TiffData", 1)  # fmt: skip
    with tifffile.TiffWriter(path) as writer:
        for page in range(3):
            writer.write(np.full((8, 8), page, np.uint8), metadata=None,
                         description=named if page == 0 else None)  # fmt: skip
    seen: list[str] = []
    usual = tifffile.TiffFile.__init__

    def watched(self, file, *args, **options):
        seen.append(str(file))
        usual(self, file, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tifffile.TiffFile, "__init__", watched)
        store = Folders(fit="native", channels=1)
        data = TwoDomains(store, str(path), "none", size=8, channels=1, fit="native", batch_size=2)
        list(data.translation_loader("test"))
    assert seen and not any("other.ome" in name for name in seen)


def test_heads_of_tiff(tmp_path):
    for name, (width, height) in {"wide": (2**31 - 1, 8), "both": (60000, 60000)}.items():
        for pages in (1, 3):
            path = tmp_path / f"{name}{pages}.tif"
            with tifffile.TiffWriter(path, byteorder="<") as writer:
                for _ in range(pages):
                    writer.write(np.zeros((8, 8), np.uint16), metadata=None, contiguous=False)
            with tifffile.TiffFile(path) as file:
                places = [(p.tags[256].offset, p.tags[257].offset) for p in file.pages]
            data = bytearray(path.read_bytes())
            for x, y in places:
                for at, value in ((x, width), (y, height)):
                    struct.pack_into("<HII", data, at + 2, 4, 1, value)
            path.write_bytes(data)
            answered(path)


def deflated(path: Path) -> None:
    """A DICOM file whose set is packed as a whole: 32 MiB in 32 kB."""
    containers.dicom(path.parent, ZEROS[:1])
    made = path.parent / "IM001.dcm"
    data = made.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)
    start = data.index(b"\x08\0", 300)
    at = data.index(b"1.2.840.10008.1.2.1.99") - 2
    data = data[:at] + struct.pack("<H", 22) + data[at + 2 :]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data[start:] + bytes(2**25)) + packer.flush()
    made.unlink()
    path.write_bytes(data[:start] + body)


@pytest.mark.parametrize(
    ("key", "value"),
    [("Rows", 60000), ("Rows", 0), ("NumberOfFrames", "2000000000"), ("NumberOfFrames", "-3"),
     ("BitsAllocated", 64), ("SamplesPerPixel", 0), ("RescaleSlope", "nan"), ("Columns", 9),
     ("InstanceNumber", "99999999999"), ("PixelRepresentation", 7)],
)  # fmt: skip
def test_headers_of_dicom(tmp_path, key, value):
    pydicom = pytest.importorskip("pydicom")
    containers.dicom(tmp_path, ZEROS[:1])
    path = tmp_path / "IM001.dcm"
    one = pydicom.dcmread(path)
    setattr(one, key, value)
    one.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    if key in ("NumberOfFrames", "InstanceNumber"):
        data = data.replace(value.encode(), b"x" * len(value)) if key[0] == "I" else data
        path.write_bytes(data)
    try:
        answered(path, ends=[0, 255])
    except pytest.fail.Exception:
        assert key in ("InstanceNumber", "PixelRepresentation")  # that say nothing of the pixels


def test_dicom_that_is_packed_as_a_whole(tmp_path):
    pytest.importorskip("pydicom")
    path = tmp_path / "scan.dcm"
    deflated(path)
    assert path.stat().st_size < 2**20
    assert "deflated" in answered(path)


def test_members_of_a_zip_are_bounded_before_their_heads_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "MOST_BYTES", 2**21)
    path = tmp_path / "scans.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("scan.nii", "w", force_zip64=True) as member,
    ):
        for _ in range(3):
            member.write(bytes(2**20))
    assert "scan.nii" in answered(path, called="scan.nii")


def test_a_gif_that_claims_a_large_screen(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(containers.animated(np.zeros((3, 8, 8, 3), np.uint8), [9] * 3, None, None))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2H", data, 6, 60000, 60000)
    path.write_bytes(data)
    answered(path, 3)


@pytest.mark.parametrize(
    "text",
    [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4", b"%PDF-1.4\n", b"#EXTM3U\n/etc/passwd",
     b'<svg xmlns="http://www.w3.org/2000/svg"/>'],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "npy"])
def test_programs_under_names_of_pictures(tmp_path, text, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(text)
    answered(path, 3)


def test_what_has_no_end_is_no_picture(tmp_path):
    for place in (Path("/dev/zero"), tmp_path, tmp_path / "none.png"):
        with pytest.raises(UnreadableImage, match="file"):
            picture_bytes(place)


def test_a_picture_of_the_clip_term_is_opened_as_all_are(tmp_path):
    """PostScript would run another program."""
    from egsde.energies import clip

    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(ValueError, match=r"a\.png cannot be opened"):
        clip._shown(None, path)  # type: ignore[arg-type]
    Image.new("1", (9000, 9000)).save(buffer := io.BytesIO(), "PNG")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="shrink it first"):
        clip._shown(None, path)  # type: ignore[arg-type]
