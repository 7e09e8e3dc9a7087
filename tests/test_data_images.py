"""Every kind of image file gives the right pixels; bad files are named, counted, skipped."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image

from egsde.data import Fluent, Folders, output_name
from egsde.data.images import decode, square, to_tensor
from egsde.programs.build import Parts
from folders import data, encoded, fill
from runs import composed

RED, HALF = (200, 40, 90), (228, 148, 173)  # HALF = RED at alpha 127/255 over white


@pytest.mark.parametrize(
    ("image", "kind", "options", "expected", "tolerance"),
    [
        (Image.new("RGB", (4, 4), RED), "PNG", {}, RED, 0),
        (Image.new("RGB", (16, 16), RED), "JPEG", {"quality": 95}, RED, 3),
        (Image.new("RGB", (4, 4), RED), "WEBP", {"lossless": True}, RED, 0),
        (Image.new("RGB", (4, 4), RED).quantize(4), "PNG", {}, RED, 0),
        (Image.new("L", (4, 4), 77), "PNG", {}, (77, 77, 77), 0),
        (Image.new("1", (4, 4), 1), "PNG", {}, (255, 255, 255), 0),
        (Image.new("LA", (4, 4), (0, 127)), "PNG", {}, (128, 128, 128), 0),
        (Image.new("RGBA", (4, 4), (*RED, 127)), "PNG", {}, HALF, 1),
        (Image.new("RGBA", (4, 4), (*RED, 0)), "WEBP", {"lossless": True}, (255, 255, 255), 0),
        (Image.new("P", (4, 4), 0), "PNG", {"transparency": 0}, (255, 255, 255), 0),
        (Image.fromarray(np.full((4, 4), 257 * 90, np.uint16)), "PNG", {}, (90, 90, 90), 0),
        (Image.fromarray(np.full((4, 4), 65535, np.uint16)), "TIFF", {}, (255, 255, 255), 0),
        (Image.fromarray(np.full((4, 4), 257 * 90, np.int32)), "TIFF", {}, (90, 90, 90), 0),
        (Image.new("CMYK", (16, 16), (0, 255, 0, 0)), "JPEG", {"quality": 95}, (255, 0, 255), 3),
    ],
)
def test_every_mode_gives_its_rgb(
    image: Image.Image, kind: str, options: dict, expected: tuple[int, ...], tolerance: int
) -> None:
    array = square(decode(encoded(image, kind, **options)), 4)
    assert array.shape == (4, 4, 3) and array.dtype == np.uint8
    assert np.abs(array.astype(int) - np.array(expected)).max() <= tolerance


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (8, 4), "black")
    image.paste("white", (0, 0, 4, 4))  # white left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90 degrees: white above
    turned = decode(encoded(image, "PNG", exif=exif))
    assert turned.size == (4, 8)
    assert np.asarray(turned)[:4].min() == 255 and np.asarray(turned)[4:].max() == 0


def test_fits() -> None:
    stripes = np.zeros((8, 24, 3), np.uint8)
    stripes[:, 8:16] = 255  # black, white, black: 24 x 8
    image = Image.fromarray(stripes)
    assert (square(image, 8, "crop") == 255).all()  # the centre square, not resampled
    assert square(image, 24, "pad")[:8].min() == 255 and square(image, 24, "pad")[12, 0].max() == 0
    assert square(image, 24, "stretch")[:, 12].min() == 255
    with pytest.raises(ValueError, match="crop, pad, stretch"):
        square(image, 8, "zoom")


def test_shrinking_is_antialiased_and_the_scale_is_exact() -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    small = square(Image.fromarray(np.stack([checks] * 3, -1).astype(np.uint8)), 8)
    assert np.abs(small.astype(int) - 127.5).max() <= 1  # one pixel in eight would be 0 or 255
    pixels = to_tensor(np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2))
    assert pixels.dtype == torch.float32 and pixels.shape == (3, 16, 16)
    assert pixels.min() == -1 and pixels.max() == 1
    assert torch.equal(((pixels[0] + 1) * 127.5).round().flatten(), torch.arange(256.0))


def spoil(folder: Path) -> None:
    """a.jpg cut short, b.png with a broken body, c.webp that is text; d.png is empty."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    (folder / "a.jpg").write_bytes(encoded(noise, "JPEG")[:1000])
    whole = bytearray(encoded(noise))
    whole[3000:3100] = bytes(100)
    (folder / "b.png").write_bytes(whole)
    (folder / "c.webp").write_text("<html>not found</html>")
    (folder / "d.png").write_bytes(b"")


@pytest.mark.parametrize("cache_mib", [0, 64])
def test_unreadable_files_are_named_counted_and_skipped(tmp_path: Path, cache_mib: int) -> None:
    fill(tmp_path / "train", 5)
    fill(tmp_path / "test", 2)
    spoil(tmp_path / "train")
    known = 4 if cache_mib else 3  # a broken body with sound ends shows when it is decoded
    with pytest.raises(
        ValueError, match=rf"{known} of 9 images of .* cannot be read.*on_error=skip"
    ) as e:
        Folders(cache_mib=cache_mib).images(str(tmp_path), "train", 8)
    named = [name for name in ("a.jpg", "b.png", "c.webp", "d.png") if name in str(e.value)]
    assert len(named) == known and "\n" not in str(e.value)
    skipping = Folders(cache_mib=cache_mib, on_error="skip")
    with pytest.warns(UserWarning, match=r"4 of 9 images.*a\.jpg.*b\.png.*c\.webp.*d\.png"):
        images = skipping.images(str(tmp_path), "train", 8)
    assert images.ids == [f"{k:03d}.png" for k in range(5)]
    assert [images.array(k)[0, 0, 0] for k in range(5)] == list(range(5))


def test_broken_body_is_named_when_decoded(tmp_path: Path) -> None:
    fill(tmp_path / "test", 1)
    fill(tmp_path / "train", 1)
    spoil(tmp_path / "train")
    for name in ("a.jpg", "c.webp", "d.png"):
        (tmp_path / "train" / name).unlink()
    images = Folders(cache_mib=0).images(str(tmp_path), "train", 8)
    with pytest.raises(ValueError, match=r"b\.png"):
        images.array(images.ids.index("b.png"))


def test_zip_equals_folder_also_in_workers(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 7)):
        for domain in ("a", "b"):
            suffix = "png" if domain == "a" else "webp"
            fill(tmp_path / "set" / split / domain / "deep", count, suffix)
    (tmp_path / "set" / "readme.txt").write_text("not an image")
    (tmp_path / "set" / "train" / "a" / ".hidden.png").write_text("not an image")
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path, "set")  # holds one folder: set/
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "set" / "train" / "a")
    pixels = []
    for root, workers in (("set", 0), ("set.zip", 2)):
        chosen = [f"data.root={tmp_path / root}", "data.source=a", "data.target=b", "data.size=8"]
        module = data("folder", *chosen, f"data.num_workers={workers}", "data.cache_mib=0")
        batches = list(module.translation_loader("test", batch_size=3))
        assert sum((b["id"] for b in batches), []) == [f"deep/{k:03d}.png" for k in range(7)]
        pixels.append(torch.cat([b["x0"] for b in batches]))
    assert torch.equal(*pixels)
    inside = [f"{tmp_path}/set.zip/set/test/a", f"{tmp_path}/a.zip"]
    assert [len(Folders().images(path, "all", 8).ids) for path in inside] == [7, 6]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_no_more_workers_than_cores_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert data("fluent", "data.num_workers=2").num_workers == 1
    finally:
        os.sched_setaffinity(0, before)


def test_ids_name_outputs_without_collision(tmp_path: Path) -> None:
    assert output_name("x/a.png") == "x/a.png" and output_name("x/a.jpg") == "x/a.jpg.png"
    ids = ["a.png", "a.jpg", "a.JPG", "a.jpg.png", "a.jpg.png.png", "a.jpg.jpg", "a.PNG", "a/a.png"]
    assert len({output_name(name) for name in ids}) == len(ids)


@given(st.sets(st.text("ab.", min_size=1, max_size=4).flatmap(
    lambda head: st.lists(st.sampled_from([".png", ".jpg", ".PNG"]), min_size=1, max_size=3).map(
        lambda tail: head + "".join(tail)))))  # fmt: skip
def test_output_names_are_injective(ids: set[str]) -> None:
    names = {output_name(name) for name in ids}
    assert len(names) == len(ids) and all(name.endswith(".png") for name in names)


def test_damaged_zip_member_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "test", 3)
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "test")
    whole = bytearray((tmp_path / "set.zip").read_bytes())
    place = whole.index(b"001.png") + len("001.png") + 20  # in the member's data
    whole[place : place + 8] = bytes(8)
    (tmp_path / "set.zip").write_bytes(whole)
    for cache_mib in (0, 8):
        with pytest.raises(ValueError, match=r"1 of 3 images of .* cannot be read: 001\.png"):
            Folders(cache_mib=cache_mib).images(f"{tmp_path}/set.zip", "all", 8)


def test_links_back_up_end(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert Folders().images(str(tmp_path / "a"), "all", 8).ids == ["000.png", "001.png"]


def test_disjoint_styles_share_no_training_picture():
    """Half of the emoji each; the pictures that are measured stay what they are."""
    whole, halves = Fluent(), Fluent(disjoint=True)
    flat, solid = (set(halves.images(style, "train", 8).ids) for style in Fluent.styles)
    every = whole.images("flat", "train", 8).ids
    assert not flat & solid and flat | solid == set(every)
    assert 0.45 < len(flat) / len(every) < 0.55
    for split in ("val", "test"):
        assert halves.images("3d", split, 8).ids == whole.images("3d", split, 8).ids
    cfg = composed("train", "unused", "data=fluent", "data.disjoint=true", "data.size=8")
    assert set(Parts(cfg)("data").shown("train")[0].ids) == solid
