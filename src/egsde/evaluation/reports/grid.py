"""A labelled grid of images: a row per kind (source, translation, truth), a column per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

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
        return coloured(np.stack([image[0].numpy()] * 3, -1), colours)
    return np.ascontiguousarray(image[:3].numpy().transpose(1, 2, 0))


def coloured(picture: np.ndarray, colours: str | None) -> np.ndarray:
    """uint8 (..., 3) of a grey one: in a colour map of matplotlib, or as it is."""
    if colours is None:
        return picture
    return (255 * colormaps[colours](picture[..., 0])[..., :3]).round().astype(np.uint8)


def check_colours(colours: str | None, channels: int) -> None:
    """ValueError for a colour map that matplotlib does not have, or that colours nothing."""
    if colours is None:
        return
    if colours not in colormaps:
        close = get_close_matches(str(colours), list(colormaps), 1)
        meant = f"; did you mean data.colours={close[0]}?" if close else ""
        raise ValueError(
            f"data.colours={colours} is no colour map of matplotlib, such as viridis, magma or "
            f"gray{meant}"
        )
    if channels >= 3:
        raise ValueError(
            f"data.colours={colours} is for pictures of one channel, and data.channels={channels}; "
            "leave it out"
        )
