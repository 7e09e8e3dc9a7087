"""A labelled grid of images: a row per kind (source, translation, truth), a column per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP, MARGIN = 4, 96


def draw_grid(
    rows: Mapping[str, Sequence[Tensor]], cell: int = 96, colours: str | None = None
) -> Image.Image:
    """rows: label -> images (C, H, W), uint8 or float in [-1, 1], all rows of one length; cell:
    pixels on a side; colours: a colour map of matplotlib for one channel.

    Small images are enlarged by whole pixels, so that what the method made is what one sees; large
    ones are shrunk where they have shapes of their own.
    """
    columns = max(len(images) for images in rows.values())
    every = [image for images in rows.values() for image in images]
    shapes = {tuple(image.shape[-2:]) for image in every}
    high, wide = (max(shape[k] for shape in shapes) for k in (0, 1))
    scale: float = max(1, round(cell / wide))
    if len(shapes) > 1 and max(high, wide) > 4 * cell:
        scale = 4 * cell / max(high, wide)
    width, height = round(wide * scale), round(high * scale)
    canvas = Image.new(
        "RGB", (MARGIN + columns * (width + GAP), len(rows) * (height + GAP)), "white"
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    for r, (label, images) in enumerate(rows.items()):
        top = r * (height + GAP)
        draw.text((6, top + height // 2 - 8), label, fill="black", font=font)
        for c, image in enumerate(images):
            picture = Image.fromarray(as_picture(image, colours))
            sides = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
            canvas.paste(picture.resize(sides, method), (MARGIN + c * (width + GAP), top))
    return canvas


def as_picture(image: Tensor, colours: str | None = None) -> np.ndarray:
    """uint8 (H, W, 3) of an image (C, H, W): its first three channels, or its first, in grey or in
    a colour map."""
    image = image.detach().cpu()
    if image.is_floating_point():
        image = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    if len(image) < 3:
        first = image[0].numpy()
        if colours is not None:
            return (255 * colormaps[colours](first)[..., :3]).round().astype(np.uint8)
        return np.stack([first] * 3, -1)
    return np.ascontiguousarray(image[:3].numpy().transpose(1, 2, 0))
