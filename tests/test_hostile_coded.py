"""Coded pixels that are larger than the head of their container says: answered before they are
decoded."""

from __future__ import annotations

import lzma
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import GifImagePlugin, Image

import containers
from egsde.data import coded
from egsde.data.coded import check_frames, stated, unpacks_to
from egsde.data.containers import video
from egsde.opened import UnreadableImage
from folders import encoded
from test_hostile_containers import ZEROS, answered


def test_a_gif_whose_later_frames_are_larger(tmp_path):
    large = Image.new("P", (3000, 2000))
    large.putpalette([0, 0, 0])
    options = {"duration": 9, "include_color_table": True, "disposal": 1}
    body = b"".join(GifImagePlugin.getdata(large, **options))
    small = containers.animated(np.zeros((1, 8, 8, 3), np.uint8), [9], None, None)
    path = tmp_path / "a.gif"
    path.write_bytes(small[:-1] + body * 3 + b";")
    assert "its frame 1 reaches beyond its 8x8 pixels" in answered(path, 3)


def packed_tiff(path: Path, code: int, pages: int, grown: int) -> None:
    """16-bit pages of 8x8 pixels, whose strip unpacks to so many bytes."""
    with tifffile.TiffWriter(path) as writer:
        for _ in range(pages):
            writer.write(np.zeros((8, 8), np.uint16), compression="zlib", metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = [[page.tags[key] for key in (259, 273, 279)] for page in file.pages]
    body = zlib.compress(bytes(grown), 9) if code == 8 else lzma.compress(bytes(grown))
    for kind, place, count in tags:
        for tag, value in ((kind, code), (place, len(data)), (count, len(body))):
            struct.pack_into("<HII", data, tag.offset + 2, 4, 1, value)
    path.write_bytes(bytes(data) + body)


@pytest.mark.parametrize("code", [8, coded.LZMA])
@pytest.mark.parametrize("pages", [1, 3])
def test_strips_of_tiff_that_grow(tmp_path, code, pages, monkeypatch):
    monkeypatch.setattr(coded, "SMALL", 2**10)
    path = tmp_path / "a.tif"
    packed_tiff(path, code, pages, 2**25 if code == 8 else 2**22)
    assert path.stat().st_size < 2**18
    assert "holds more than the 128 bytes" in answered(path)


def test_what_unpacks_to_its_size_is_taken():
    plain = bytes(range(256)) * 400
    for pack, unpacker in ((zlib.compress, zlib.decompressobj),
                           (lzma.compress, lzma.LZMADecompressor)):  # fmt: skip
        assert unpacks_to(unpacker(), pack(plain), len(plain))
        assert not unpacks_to(unpacker(), pack(plain), len(plain) - 1)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("pages", [1, 2])
def test_tiles_larger_than_the_page(tmp_path, kind, pages):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(pages):
            writer.write(np.zeros((16, 16), kind), metadata=None, tile=(16, 16), compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            for key in (322, 323):
                struct.pack_into("<HII", data, page.tags[key].offset + 2, 4, 1, 2**15)
    path.write_bytes(data)
    answered(path)


def jpeg(kind: str, width: int, height: int, **options: object) -> bytes:
    return encoded(Image.new("L", (width, height)), kind, **options)


FRAMES = {
    "JPEG": jpeg("JPEG", 48, 40),
    "progressive": jpeg("JPEG", 48, 40, progressive=True, comment=b"a" * 99),
    "codestream": jpeg("JPEG2000", 48, 40, no_jp2=True),
    "JP2": jpeg("JPEG2000", 48, 40),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_size_that_a_coded_frame_states(name):
    frame = FRAMES[name]
    assert stated(frame) == (48, 40)
    check_frames([frame], 48, 40)
    with pytest.raises(UnreadableImage, match="coded as 48x40 pixels, and its head says 8x8"):
        check_frames([frame], 8, 8)
    assert all(isinstance(stated(frame[:end]), tuple | None) for end in range(90))
    assert stated(b"\xff\xd8" + b"\xff" * 50) is None and stated(bytes(64)) is None


@pytest.mark.parametrize(
    ("name", "syntax"),
    [("JPEG", "1.2.840.10008.1.2.4.50"), ("codestream", "1.2.840.10008.1.2.4.90"),
     ("grown", "1.2.840.10008.1.2.5")],
)  # fmt: skip
def test_coded_frames_of_dicom(tmp_path, name, syntax):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.encaps import encapsulate

    containers.dicom(tmp_path, ZEROS[:1])
    path = tmp_path / "IM001.dcm"
    one = pydicom.dcmread(path)
    one.file_meta.TransferSyntaxUID = syntax
    runs = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 2**12
    one.PixelData = encapsulate([FRAMES.get(name, runs)])
    one["PixelData"].VR = "OB"
    one.save_as(path, enforce_file_format=True)
    said = answered(path)
    assert "coded as 48x40" in said or "holds more than the 64 bytes" in said


def test_coded_frames_of_a_clip(tmp_path, monkeypatch):
    """FFmpeg is told the most pixels that a frame may have, for its own look, too."""
    pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    containers.video(path, np.zeros((2, 128, 128, 3), np.uint8))
    monkeypatch.setattr(video, "LARGEST", {"max_pixels": "4096"})
    assert "a.mp4" in answered(path, 3)
    monkeypatch.undo()
    with pytest.raises(pytest.fail.Exception):  # it is a clip like any
        answered(path, 3)


def test_one_picture_of_a_stack_is_as_large_as_a_picture_may_be(tmp_path):
    path = tmp_path / "a.npy"
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3, 16384, 16384), }\n"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head)
    assert "shrink it first" in answered(path)
