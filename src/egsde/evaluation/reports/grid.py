"""A labelled grid of images: a row per kind (source, translation, truth), a column per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

GAP, MARGIN = 4, 96


def draw_grid(rows: Mapping[str, Sequence[Tensor]], cell: int = 96) -> Image.Image:
    """rows: label -> uint8 images (3, H, W), all rows of one length; cell: pixels on a side.

    Small images are enlarged by whole pixels, so that what the method made is what one sees.
    """
    columns = max(len(images) for images in rows.values())
    first = next(iter(rows.values()))[0]
    scale = max(1, round(cell / first.shape[-1]))
    width, height = first.shape[-1] * scale, first.shape[-2] * scale
    canvas = Image.new(
        "RGB", (MARGIN + columns * (width + GAP), len(rows) * (height + GAP)), "white"
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for r, (label, images) in enumerate(rows.items()):
        top = r * (height + GAP)
        draw.text((6, top + height // 2 - 8), label, fill="black", font=font)
        for c, image in enumerate(images):
            picture = Image.fromarray(np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0)))
            enlarged = picture.resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (MARGIN + c * (width + GAP), top))
    return canvas
