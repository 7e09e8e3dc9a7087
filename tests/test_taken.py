"""What `translate` takes and what it answers to the rest, with a translator that does nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from egsde.programs.load import PictureTranslator
from egsde.programs.settings import CONF


def translator(channels: int) -> PictureTranslator:
    nothing = instantiate(OmegaConf.load(CONF / "translator" / "nothing.yaml"))
    return PictureTranslator(nothing, 8, {"data": {"channels": channels}})


def picture(*shape: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_pil_image_of_the_networks_channels_comes_back_as_one():
    for channels, image in ((1, picture(8, 8)), (3, picture(8, 8, 3))):
        made = translator(channels).translate(image)
        assert made.mode == image.mode and np.array_equal(made, image)
    assert translator(1).translate(picture(20, 30)).size == (8, 8)


@pytest.mark.parametrize(
    ("channels", "given", "answer"),
    [
        (3, np.zeros((8, 8, 3), np.uint8), "got ndarray; PIL.Image.fromarray"),
        (3, ["a.png", "b.png"], "got list; .*one by one"),
        (3, None, "got NoneType"),
        (3, "nowhere/a.png", "nowhere/a.png: no such file"),
        (1, Image.new("RGB", (8, 8)), r"see 1 channels, .* mode RGB .*convert\(.L.\)"),
        (5, Image.new("RGB", (8, 8)), "see 5 channels"),
        (3, torch.zeros(8, 8), r"\(3, H, W\)"),
    ],
)
def test_what_is_no_picture_of_the_networks_is_answered(channels, given, answer):
    with pytest.raises(ValueError, match=answer):
        translator(channels).translate(given)


def test_a_damaged_file_is_named(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(ValueError, match="a.png: "):
        translator(3).translate(tmp_path / "a.png")
