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
from egsde import avif
from egsde.data import coded
from egsde.data.coded import check_frames, runs, stated, unpacks_to
from egsde.data.containers import video
from egsde.opened import UnreadableImage, opened
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


PACK = {
    8: lambda grown: zlib.compress(bytes(grown), 9),
    coded.LZMA: lambda grown: lzma.compress(bytes(grown)),
    coded.PACKBITS: lambda grown: b"\x81\0" * (grown // 128),
}


def packed_tiff(path: Path, code: int, pages: int, grown: int) -> None:
    """16-bit pages of 8x8 pixels, whose strip unpacks to so many bytes."""
    with tifffile.TiffWriter(path) as writer:
        for _ in range(pages):
            writer.write(np.zeros((8, 8), np.uint16), compression="zlib", metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = [[page.tags[key] for key in (259, 273, 279)] for page in file.pages]
    body = PACK[code](grown)
    for kind, place, count in tags:
        for tag, value in ((kind, code), (place, len(data)), (count, len(body))):
            struct.pack_into("<HII", data, tag.offset + 2, 4, 1, value)
    path.write_bytes(bytes(data) + body)


@pytest.mark.parametrize("code", PACK)
@pytest.mark.parametrize("pages", [1, 3])
def test_strips_of_tiff_that_grow(tmp_path, code, pages, monkeypatch):
    monkeypatch.setattr(coded, "SMALL", 2**10)
    path = tmp_path / "a.tif"
    packed_tiff(path, code, pages, {8: 2**25}.get(code, 2**22))
    assert path.stat().st_size < 2**18
    assert "holds more than the 128 bytes" in answered(path)


def test_runs_are_counted_as_packbits_makes_them():
    for packed in (b"\x02abc\xfez\x80\x00q", b"\x81\0", b"\x80" * 5, b"\x7f" + bytes(128)):
        assert runs(packed) == len(tifffile.tifffile.imagecodecs.packbits_decode(packed))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_strips_that_are_not_there(tmp_path, kind):
    """Pillow would draw them black."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), kind), metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        struct.pack_into("<HII", data, file.pages[0].tags[257].offset + 2, 4, 1, 800)
    path.write_bytes(data)
    assert "it is cut short: 1 of 100 strips" in answered(path)


def an_avif(mode: str = "RGB", **options: object) -> bytes:
    return encoded(Image.new(mode, (48, 40)), "AVIF", speed=10, **options)


def test_sizes_in_an_avif():
    more = {"save_all": True, "append_images": [Image.new("RGB", (48, 40), "red")]}
    for data in (an_avif(), an_avif("RGBA"), an_avif("L", subsampling="4:0:0"), an_avif(**more)):
        assert set(avif.sizes(data)) == {(48, 40)}
    for end in range(len(data)):  # whatever is cut off is told, not guessed
        with pytest.raises((ValueError, IndexError, KeyError)):
            assert set(avif.sizes(data[:end])) == {(48, 40)}
            raise ValueError


def test_an_avif_whose_frames_are_larger_than_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr("egsde.opened.MOST_PIXELS", 1000)
    data = bytearray(an_avif())
    at = data.find(b"ispe")
    struct.pack_into(">II", data, at + 8, 8, 8)
    (tmp_path / "a.avif").write_bytes(data)
    assert "48x40 pixels, more than 1000" in answered(tmp_path / "a.avif", 3)
    body = data.find(b"mdat") + 4
    (tmp_path / "b.avif").write_bytes(data[:body] + bytes(len(data) - body))
    assert "its coded frames" in answered(tmp_path / "b.avif", 3)


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def an_avif_of_tiles(grid: bytes, inside: bool = True) -> bytes:
    """Two tiles of 64x64 side by side, put together as an item of these bytes says."""
    one = encoded(Image.new("RGB", (64, 64), "red"), "AVIF", speed=10)
    found = {name: one[a:b] for name, a, b in avif.boxes(one, 0, len(one))}
    meta = one.find(b"meta") + 8
    end = meta - 12 + struct.unpack_from(">I", one, meta - 12)[0]
    inner = {name: one[a:b] for name, a, b in avif.boxes(one, meta, end)}
    properties = next(one[a:b] for name, a, b in
                      avif.boxes(one, one.find(b"ipco") - 4, one.find(b"ipma") - 4))  # fmt: skip
    count = sum(1 for _ in avif.boxes(properties, 0, len(properties)))
    wide = box(b"ispe", struct.pack(">III", 0, 128, 64))
    kinds = (b"av01", b"av01", b"grid")
    entries = [box(b"infe", struct.pack(">IHH", 2 << 24, k, 0), kind, b"\0")
               for k, kind in enumerate(kinds, 1)]  # fmt: skip
    tile = bytes([count]) + bytes(range(1, count + 1))
    whole = bytes([2, count + 1, 2])  # the grid's own size, and the bits of its pixels
    of_items = b"".join(struct.pack(">H", k) + (tile if k < 3 else whole) for k in (1, 2, 3))

    def head(start: int) -> bytes:
        places = [(start, len(found[b"mdat"]), 0)] * 2
        places.append((0, len(grid), 1) if inside else (start + len(found[b"mdat"]), len(grid), 0))
        located = [struct.pack(">HHHHII", k, how, 0, 1, place, size)
                   for k, (place, size, how) in enumerate(places, 1)]  # fmt: skip
        parts = [
            box(b"hdlr", inner[b"hdlr"]), box(b"pitm", struct.pack(">IH", 0, 3)),
            box(b"iloc", struct.pack(">IHH", 1 << 24, 0x4400, 3), *located),
            box(b"iinf", struct.pack(">IH", 0, 3), *entries),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(">HHHH", 3, 2, 1, 2))),
            box(b"iprp", box(b"ipco", properties, wide),
                box(b"ipma", struct.pack(">II", 0, 3), of_items)),
            *([box(b"idat", grid)] if inside else []),
        ]  # fmt: skip
        return box(b"ftyp", found[b"ftyp"]) + box(b"meta", bytes(4), *parts)

    body = found[b"mdat"] + (b"" if inside else grid)
    return head(len(head(0)) + 8) + box(b"mdat", body)


@pytest.mark.parametrize("inside", [True, False])
def test_an_avif_of_tiles(tmp_path, inside):
    """The size of the picture that tiles are put together to is that of an item, not of its box."""
    plain = an_avif_of_tiles(struct.pack(">BBBBHH", 0, 0, 0, 1, 128, 64), inside)
    assert set(avif.sizes(plain)) == {(64, 64), (128, 64)}
    assert np.asarray(opened(plain).convert("RGB")).shape == (64, 128, 3)
    for layout, tiles, side in ((">BBBBHH", (0, 1), 60000), (">BBBBII", (0, 1), 2**20),
                                (">BBBBHH", (255, 255), 16384)):  # fmt: skip
        grid = struct.pack(layout, 0, int(layout.endswith("II")), *tiles, side, side)
        large = an_avif_of_tiles(grid, inside)
        assert (side, side) in avif.sizes(large)
        (tmp_path / "a.avif").write_bytes(large)
        assert answered(tmp_path / "a.avif", 3)
    (tmp_path / "a.avif").write_bytes(an_avif_of_tiles(b"\0\0\0", inside))
    assert answered(tmp_path / "a.avif", 3)


def test_an_array_larger_than_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("egsde.data.rasters.MOST_PIXELS", 1000)
    np.savez_compressed(tmp_path / "a.npz", image=np.zeros((60, 60, 3), np.uint8))
    assert "is too large: shrink it first" in answered(tmp_path / "a.npz", 3)


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
