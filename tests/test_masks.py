"""Masks and low-resolution pictures from files: they follow their images, or say what is wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from PIL import Image

from egsde.linear.operators import Box
from egsde.methods import ccdf, repaint, sdedit
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM
from egsde.solvers import Ancestral
from folders import colour, data, fill
from problems import Gaussian


@pytest.fixture
def chosen(tmp_path: Path) -> list[str]:
    fill(tmp_path / "test" / "a", 3)
    fill(tmp_path / "test" / "b", 1)
    return [f"data.root={tmp_path}", "data.source=a", "data.target=b", "data.size=8",
            "data.num_workers=0"]  # fmt: skip


def stripe(width: int, size: int = 8) -> Image.Image:
    mask = Image.new("L", (size, size), 0)
    mask.paste(255, (0, 0, width, size))
    return mask


def batch(*overrides: str) -> dict:
    return next(iter(data("folder", *overrides).translation_loader("test")))


def test_masks_follow_their_images(chosen, tmp_path):
    """White is kept; names agree but for the suffix; a folder, a zip of it, or one for all."""
    masks = tmp_path / "masks"
    masks.mkdir()
    for k in range(3):
        stripe(2 * k).save(masks / f"{k:03d}.webp", lossless=True)
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        for file in masks.iterdir():
            archive.write(file, file.name)
    for place in (masks, tmp_path / "masks.zip"):
        mask = batch(*chosen, f"data.mask={place}")["mask"]
        assert mask.shape == (3, 1, 8, 8) and mask.unique().tolist() == [0, 1]
        assert mask.sum((1, 2, 3)).tolist() == [0, 16, 32]
    one = batch(*chosen, f"data.mask={masks / '002.webp'}")["mask"]
    assert (one.sum((1, 2, 3)) == 32).all()
    (masks / "001.webp").unlink()
    with pytest.raises(ValueError, match=r"nothing for 1 of 3 images \(001\.png\).*001\.png, or"):
        batch(*chosen, f"data.mask={masks}")
    first = batch(*chosen, f"data.mask={masks}", "data.limit=1")  # only what is translated
    assert first["id"] == ["000.png"]


def test_larger_masks_are_cut_like_the_images(chosen, tmp_path):
    wide = Image.new("L", (32, 16), 0)
    wide.paste(255, (0, 0, 16, 16))  # the left half: of its central square, too
    wide.save(tmp_path / "wide.png")
    for k in range(3):
        colour(k).resize((16, 8)).save(tmp_path / "test" / "a" / f"{k:03d}.png")
    mask = batch(*chosen, f"data.mask={tmp_path / 'wide.png'}")["mask"][0, 0]
    assert mask[:, :4].min() == 1 and mask[:, 4:].max() == 0


@pytest.mark.parametrize(("name", "filled"), [("centre", 16), ("right", 32), ("bottom", 32)])
def test_drawn_masks(chosen, name, filled):
    mask = batch(*chosen, f"data.mask={name}")["mask"]
    assert mask.shape == (3, 1, 8, 8) and (mask == 0).sum() == 3 * filled


@pytest.mark.parametrize(("fit", "size", "shape"), [
    ("crop", "[8,12]", (8, 12)), ("pad", "[8,12]", (8, 12)), ("keep", "8", (8, 16)),
    ("native", "8", (10, 20)),
])  # fmt: skip
def test_masks_of_rectangles_and_whole_frames(chosen, tmp_path, fit, size, shape):
    """From a file as from a name: the right half of what is seen is filled in."""
    for k in range(3):
        colour(k).resize((20, 10)).save(tmp_path / "test" / "a" / f"{k:03d}.png")
    half = Image.new("L", (20, 10), 0)
    half.paste(255, (0, 0, 10, 10))
    half.save(tmp_path / "half.png")
    seen = [f"data.fit={fit}", f"data.size={size}"]
    drawn, read = (batch(*chosen, *seen, f"data.mask={mask}")["mask"][0, 0]
                   for mask in ("right", tmp_path / "half.png"))  # fmt: skip
    assert drawn.shape == read.shape == shape
    middle = shape[1] // 2
    assert drawn[:, :middle].min() == 1 and drawn[:, middle:].max() == 0
    rows = slice(2, 6) if fit == "pad" else slice(None)  # the rest is the white of the padding
    assert torch.equal(drawn[rows], read[rows])
    if fit == "native":
        half.resize((10, 5)).save(tmp_path / "half.png")
        with pytest.raises(ValueError, match="10x5 pixels, fewer than the images, .* 20x10"):
            batch(*chosen, *seen, f"data.mask={tmp_path / 'half.png'}")


def test_masks_that_do_not_fit_are_refused(chosen, tmp_path):
    def refused(path: Path, message: str) -> None:
        with pytest.raises((ValueError, InstantiationException), match=message):
            batch(*chosen, f"data.mask={path}")

    refused(tmp_path / "none.png", "does not exist; give a picture, a folder or a zip")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no pictures")
    stripe(2, 4).save(tmp_path / "small.png")
    refused(tmp_path / "small.png", "4x4 pixels, fewer than the images, which are 8x8")
    photo = Image.new("L", (8, 8), 150)
    photo.putpixel((0, 0), 255)
    photo.save(tmp_path / "photo.png")
    refused(tmp_path / "photo.png", "no mask: 98% of it is grey")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    refused(tmp_path / "broken.png", "broken.png cannot be read: not an image")


def test_low_resolution_pictures_follow_their_images(chosen, tmp_path):
    low = tmp_path / "low"
    fill(low, 3)  # 8 x 8, which fits images of 32
    found = batch(*chosen, f"data.low={low}", "data.size=32")["low"]
    assert found.shape == (3, 3, 8, 8)
    expected = torch.tensor([[k, 255 - k, k // 2] for k in range(3)]) / 127.5 - 1
    assert torch.allclose(found[..., 0, 0], expected, atol=1e-6)
    with pytest.raises(ValueError, match="8x8 pixels; all must be square.* images' 20"):
        batch(*chosen, f"data.low={low}", "data.size=20")
    colour(1, 4).save(low / "002.png")
    with pytest.raises(ValueError, match="002.png has 4x4 pixels; all must be"):
        batch(*chosen, f"data.low={low}", "data.size=32")


def test_files_reach_the_methods(chosen, tmp_path):
    """Known pixels of RePaint and masked SDEdit, and CCDF's low-resolution pictures, end exact."""
    stripe(4, 16).save(tmp_path / "mask.png")
    fill(tmp_path / "low", 3, suffix="webp")
    for k in range(3):
        colour(60 * k, 4).save(tmp_path / "low" / f"{k:03d}.webp", lossless=True)
    item = batch(*chosen, f"data.mask={tmp_path / 'mask.png'}", f"data.low={tmp_path / 'low'}",
                 "data.size=16")  # fmt: skip
    x0, noise, sde = item["x0"], Noise(0, item["id"]), DDPM()
    score, sampler = Gaussian().score(sde), Sampler(Ancestral(), Uniform(20))
    cond = {"mask": item["mask"], "low": item["low"]}
    for translate in (repaint(score, sampler, 5, 2), sdedit(score, sampler, mask=True)):
        y = translate(x0, noise, **cond)
        assert torch.equal(y[..., :4], x0[..., :4])
        assert (y[..., 4:] - x0[..., 4:]).abs().mean() > 0.1
    y = ccdf(score, sampler, Box(4))(x0, noise, **cond)
    means = torch.nn.functional.avg_pool2d(y, 4)
    assert (means - item["low"]).abs().max() < 1e-5
