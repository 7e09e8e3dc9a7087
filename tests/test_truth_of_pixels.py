"""Pixels mean what the file says: depth, range, colour profile; and white of a mask is white."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from egsde.data.depth import UnreadableImage, deep_pixels
from egsde.data.drawing import drawing
from egsde.data.images import decode
from egsde.opened import opened
from folders import colour, data, encoded, fill
from picture_files import GREY, HALF, alpha, palette, png16, tiff

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("white", [65535, 4095, 256])
def test_a_ppm_of_16_bits_is_read_whole(white):
    """White is what its head says; Pillow keeps 8 bits of each number."""
    given = np.random.default_rng(0).integers(0, white, (5, 7, 3), endpoint=True)
    data = f"P6\n# x\n7 5\n{white}\n".encode() + given.astype(">u2").tobytes()
    image = opened(data)
    assert np.abs(deep_pixels(image, data) - given * 65535 / white).max() <= 0.5
    found = np.asarray(decode(data))
    assert found.shape == (5, 7, 3) and np.abs(found - given * 255 / white).max() <= 0.51
    with pytest.raises(UnreadableImage):
        decode(data[:-4])


@pytest.mark.parametrize("write", [png16, tiff], ids=["png", "tiff"])
@pytest.mark.parametrize("bands", [1, 3])
def test_sixteen_bits_are_divided_by_257_and_rounded(write, bands):
    pixels = RNG.integers(0, 65536, (9, 13, bands), dtype=np.uint16)
    pixels[0, 0] = 65535
    shaped = pixels[..., 0] if bands == 1 and write is tiff else pixels
    found = np.asarray(decode(write(shaped))).astype(int)
    assert np.array_equal(found, np.broadcast_to(np.rint(pixels / 257), found.shape))


@pytest.mark.parametrize("bands", [2, 4])
def test_alpha_of_sixteen_bits_goes_over_white(bands):
    pixels = np.full((3, 5, bands), 257 * 40, np.uint16)
    pixels[..., -1] = 65535
    pixels[0, ..., -1] = 0
    found = np.asarray(decode(png16(pixels)))
    assert (found[0] == 255).all() and (found[1:] == 40).all()


def test_compressed_tiff_of_sixteen_bits_is_refused_or_exact():
    pixels = RNG.integers(0, 65536, (8, 8), dtype=np.uint16)
    data = encoded(Image.fromarray(pixels), "TIFF", compression="tiff_lzw")
    assert np.array_equal(np.asarray(decode(data))[..., 0], np.rint(pixels / 257))


def test_white_is_zero_is_not_read_inverted():
    pixels = np.array([[0, 65535], [257, 65278]], np.uint16)
    found = np.asarray(decode(tiff(pixels, white_is_zero=True)))[..., 0]
    assert found.tolist() == [[255, 0], [254, 1]]


@pytest.mark.parametrize(
    ("pixels", "sample_format", "message"),
    [
        (np.array([[0, 70_000]], np.int32), 2, "integers from 0 to 70000"),
        (np.array([[-5, 900]], np.int32), 2, "integers from -5 to 900"),
        (np.array([[-300, 900]], np.int16), 2, "integers from -300 to 900"),
        (np.array([[-3, 100]], np.int8), 2, "signed bytes"),
        (np.array([[2**31 + 5, 7]], np.uint32), 1, ""),
        (np.array([[0.0, 1.0]], np.float32), 3, "float pixels"),
    ],
)
def test_integers_without_a_known_white_are_refused(pixels, sample_format, message):
    with pytest.raises(UnreadableImage, match=message):
        decode(tiff(pixels, sample_format=sample_format))


@pytest.mark.parametrize(
    ("bits", "answer"), [(10, ValueError), (12, ValueError), (14, UserWarning), (16, None)]
)
@pytest.mark.parametrize("cache", [0, 64])
def test_a_set_with_fewer_bits_than_its_files_is_told(tmp_path, bits, answer, cache, recwarn):
    (tmp_path / "test").mkdir()
    for k in range(6):
        pixels = RNG.integers(0, 2**bits, (12, 12, 1 + 2 * (k % 2)), dtype=np.uint16)
        (tmp_path / "test" / f"{k}.png").write_bytes(png16(pixels))
    from egsde.data import Folders

    store = Folders(cache_mib=cache)
    if answer is ValueError:
        with pytest.raises(ValueError, match="16-bit images hold no value above"):
            store.images(str(tmp_path), "test", 8)
        return
    store.images(str(tmp_path), "test", 8)
    told = [w for w in recwarn if "hold no value above" in str(w.message)]
    assert len(told) == (answer is UserWarning)


def test_profiles_become_srgb(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    plain = colour(90)
    assert np.array_equal(
        np.asarray(decode(encoded(plain, icc_profile=srgb.tobytes()))), np.asarray(plain)
    )
    profile = swapped(srgb.tobytes())
    found = np.asarray(decode(encoded(plain, icc_profile=profile)))[0, 0].astype(int)
    assert np.abs(found - np.asarray(plain)[0, 0][[1, 0, 2]]).max() <= 3
    clear = plain.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    found = np.asarray(decode(encoded(clear, icc_profile=profile))).astype(int)
    assert (found[0, 0] == 255).all() and abs(found[1, 1, 0] - 165) <= 3


def swapped(profile: bytes) -> bytes:
    """The profile with the primaries of red and green exchanged, and another name."""
    count = struct.unpack(">I", profile[128:132])[0]
    table = bytearray(profile)
    place = {}
    for k in range(count):
        start = 132 + 12 * k
        place[profile[start : start + 4]] = start
    red, green = place[b"rXYZ"], place[b"gXYZ"]
    table[red + 4 : red + 12], table[green + 4 : green + 12] = (
        profile[green + 4 : green + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(table).replace("sRGB".encode("utf-16-be"), "oRGB".encode("utf-16-be"))


def test_a_damaged_profile_is_named(tmp_path):
    fill(tmp_path / "test", 2)
    colour(7).save(tmp_path / "test" / "odd.png", icc_profile=b"no profile at all")
    from egsde.data import Folders

    with pytest.warns(UserWarning, match=r"colour profile of 1 images.*odd\.png"):
        Folders().images(str(tmp_path), "test", 8)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def written(pixels: np.ndarray, *tags: tuple[int, int, int, int, bool]) -> bytes:
    """A TIFF by tifffile, which writes what Pillow has no mode for."""
    file = io.BytesIO()
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(file, pixels, metadata=None, photometric=kind, extratags=tags)
    return file.getvalue()


WHITE = {
    "8 bits, 0 and 1": encoded(Image.fromarray(HALF.astype(np.uint8))),
    "8 bits": encoded(GREY),
    "8 bits, soft": encoded(Image.fromarray((HALF * 150 + 60).astype(np.uint8))),
    "1 bit": encoded(GREY.convert("1")),
    "2 bits": encoded(palette_image := GREY.quantize(4), bits=2),
    "JPEG": encoded(GREY, "JPEG"),
    "BMP": encoded(GREY, "BMP"),
    "RGB, 0 and 1": encoded(Image.fromarray(np.repeat(HALF[..., None], 3, -1).astype(np.uint8))),
    "CMYK": encoded(GREY.convert("CMYK"), "TIFF"),
    "YCbCr": encoded(GREY.convert("YCbCr"), "TIFF"),
    "palette black, white": palette([0, 0, 0, 255, 255, 255]),
    "palette white, black": palette([255, 255, 255, 0, 0, 0], 1 - HALF),
    "palette of dark steps": palette([0, 0, 0, 1, 1, 1]),
    "opaque": alpha(np.full((8, 8), 255)),
    "16 bits": png16((HALF * 65535).astype(np.uint16)[..., None]),
    "16 bits, 0 and 1": png16(HALF.astype(np.uint16)[..., None]),
    "16 bits, 0 and 255": png16((HALF * 255).astype(np.uint16)[..., None]),
    "16 bits, 0 and 4095": png16((HALF * 4095).astype(np.uint16)[..., None]),
    "16 bits RGB, 0 and 1": png16(np.repeat(HALF[..., None], 3, -1).astype(np.uint16)),
    "16 bits RGBA": png16(
        np.concatenate([np.repeat(HALF[..., None], 3, -1) * 65535, np.full((8, 8, 1), 65535)], -1)
        .astype(np.uint16)
    ),
    "white is zero": tiff(((1 - HALF) * 65535).astype(np.uint16), white_is_zero=True),
    "32 bits": tiff((HALF * 255).astype(np.int32), sample_format=2),
    "16 bits signed, 0 and 1": tiff(HALF.astype(np.int16), sample_format=2),
    "NumPy's numbers": npy(HALF * 255),
    "NumPy's true and false": npy(HALF.astype(bool)),
    "float": tiff(HALF.astype(np.float32), sample_format=3),
    "float to 255": tiff((HALF * 255).astype(np.float32), sample_format=3),
    **{f"{kind} by tifffile": written(HALF.astype(kind)) for kind in ("f2", "f8", "i8", "u8")},
    "half floats in RGB": written(np.repeat(HALF[..., None], 3, -1).astype("f2")),
    "turned doubles": written(np.rot90(HALF).astype("f8"), (274, 3, 1, 6, True)),
}  # fmt: skip


@pytest.mark.parametrize("stored", WHITE)
def test_white_is_white_however_it_is_stored(stored):
    found = np.asarray(drawing(WHITE[stored]))[..., 0]
    assert np.array_equal(found >= 128, HALF == 1)


def test_a_turned_mask_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    found = np.asarray(drawing(encoded(GREY, "PNG", exif=exif)))[..., 0]
    assert found[:4].min() == 255 and found[4:].max() == 0


UNCLEAR = {
    "half": (encoded(Image.fromarray((HALF * 128).astype(np.uint8))), "nothing in it is white"),
    "half of a JPEG": (encoded(GREY.point(lambda v: v // 2), "JPEG"), "nothing in it is white"),
    "half, 16 bits": (png16((HALF * 32768).astype(np.uint16)[..., None]), "nothing in it is"),
    "half, float": (tiff(HALF.astype(np.float32) / 2, sample_format=3), "nothing in it is white"),
    "half of a palette": (palette([0, 0, 0, 128, 128, 128]), "nothing in it is white"),
    "NumPy's objects": (npy(np.array([[None]])), "Python objects"),
    "transparent where kept": (alpha(255 * (1 - HALF)), "partly transparent"),
    "transparent where filled": (alpha(255 * HALF), "partly transparent"),
    "a palette of one colour": (palette([9, 9, 9, 9, 9, 9]), "all colours of its palette"),
    "a label map": (
        encoded(Image.fromarray((HALF * 7).astype(np.uint8))),
        "nothing in it is white",
    ),
    "VOC's palette": (palette([0, 0, 0, 128, 0, 0]), "coloured"),
    "red on black": (encoded(Image.merge("RGB", [GREY, *[GREY.point(lambda v: 0)] * 2])), "colour"),
    "minus one": (tiff(-HALF.astype(np.int16), sample_format=2), "below 0"),
    "minus one byte": (tiff(-HALF.astype(np.int8), sample_format=2), "signed bytes"),
    "NaN": (tiff(np.where(HALF, np.nan, 0).astype(np.float32), sample_format=3), "are NaN"),
    "infinity": (written(np.where(HALF, np.inf, 0).astype("f8")), "without value"),
    "half of a half float": (written((HALF / 2).astype("f2")), "nothing in it is white"),
    "white is zero, float": (
        tiff(HALF.astype(np.float32), sample_format=3, white_is_zero=True),
        "0 is white",
    ),
    "a million in 64 bits": (written((HALF * 10**6).astype("i8")), "no known range"),
    "a million": (tiff((HALF * 10**6).astype(np.int32), sample_format=2), "no known range"),
    "text": (b"<html>", "not an image"),
}


@pytest.mark.parametrize("stored", UNCLEAR)
def test_what_may_mean_either_is_refused(stored):
    file, message = UNCLEAR[stored]
    with pytest.raises(UnreadableImage, match=message):
        drawing(file)


@pytest.mark.parametrize(
    ("size", "shape"), [((8, 8), (16, 12)), ((20, 10), (10, 20)), ((9, 9), (36, 9))]
)
def test_a_mask_of_another_shape_is_refused(tmp_path, size, shape):
    for domain in "ab":
        (tmp_path / "test" / domain).mkdir(parents=True)
        Image.new("RGB", size, (ord(domain), 9, 9)).save(tmp_path / "test" / domain / "0.png")
    Image.new("L", shape, 255).save(tmp_path / "mask.png")
    module = data("folder", f"data.root={tmp_path}", "data.source=a", "data.target=b",
                  "data.size=8", f"data.mask={tmp_path}/mask.png")  # fmt: skip
    with pytest.raises(
        ValueError, match=rf"{shape[0]}x{shape[1]} pixels, another shape than 0\.png"
    ):
        module.translation_loader("test")


SUFFIXES = {"jfif": "JPEG", "jpe": "JPEG", "jp2": "JPEG2000", "tif": "TIFF", "avif": "AVIF",
            "dib": "DIB", "pbm": "PPM", "JPE": "JPEG"}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_of_a_picture_is_read(tmp_path: Path, suffix: str) -> None:
    from PIL import features

    if suffix in ("jp2", "avif") and not features.check({"jp2": "jpg_2000"}.get(suffix, suffix)):
        pytest.skip("this Pillow cannot")
    from egsde.data import Folders

    (tmp_path / "test").mkdir()
    image = Image.new("1", (32, 32), 1) if suffix == "pbm" else colour(120, 32)
    file = io.BytesIO()
    image.save(file, SUFFIXES[suffix])
    (tmp_path / "test" / f"a.{suffix}").write_bytes(file.getvalue())
    images = Folders().images(str(tmp_path), "test", 8)
    assert images.ids == [f"a.{suffix}"]
    assert np.abs(images.array(0).astype(int) - np.asarray(image.convert("RGB"))[:8, :8]).max() <= 6
