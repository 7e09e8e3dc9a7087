"""Small data sets on disk, and the data modules that conf/data makes of them."""

from __future__ import annotations

import io
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from egsde.data import TwoDomains

CONF = Path(__file__).parents[1] / "conf"


def data(name: str, *overrides: str) -> TwoDomains:
    """The data module of conf/data/NAME.yaml."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(overrides=[f"+data={name}", *overrides])
    return instantiate(cfg.data)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(value: int, size: int = 8) -> Image.Image:
    return Image.new("RGB", (size, size), (value, 255 - value, value // 2))


def fill(folder: Path, count: int, suffix: str = "png", start: int = 0) -> None:
    """`count` distinct one-coloured pictures NNN.suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(start, start + count):
        colour(k).save(folder / f"{k:03d}.{suffix}")
