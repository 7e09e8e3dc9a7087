"""How a picture meets the size: which box of it is shown, where, and the way back.

crop       short side to the size, and the centre of the long one
pad        long side to the size, centred on white
stretch    both sides to the size
keep       the whole frame at its own aspect, as large as its crop would be
native     the whole frame as it is
random_crop  a part of the size, as it is: anywhere in training, else the centre

Arrays are (H, W, C), uint8 or float32 in [-1, 1]. Resizing is Pillow's bicubic filter, which
widens with the scale when shrinking (antialiased), channel by channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from egsde.opened import UnreadableImage

Size = int | Sequence[int]
FITS = ("crop", "pad", "stretch", "keep", "native", "random_crop")
WHOLE = ("keep", "native")  # every picture has its own shape


def sides(size: Size) -> tuple[int, int]:
    """Height and width of data.size: a number, or [height, width]; ValueError for others."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    values = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else []
    if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
        raise ValueError(f"data.size={size} is no size; give a number or [height, width]")
    return values[0], values[1]


@dataclass(frozen=True)
class Frame:
    """box (top, left, height, width) of the picture becomes `inner` of an image of `shape`."""

    box: tuple[int, int, int, int]
    inner: tuple[int, int, int, int]
    shape: tuple[int, int]

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """The image."""
        made = resized(pixels, self.inner[2:], self.box)
        if self.inner == (0, 0, *self.shape):
            return made
        white = 255 if pixels.dtype == np.uint8 else 1
        canvas = np.full((*self.shape, pixels.shape[2]), white, pixels.dtype)
        part(canvas, self.inner)[:] = made
        return canvas

    def back(self, image: np.ndarray, picture: np.ndarray) -> np.ndarray:
        """The picture with the image in its box, resampled; outside of it as it was."""
        made = picture.copy()
        part(made, self.box)[:] = resized(part(image, self.inner), self.box[2:])
        return made

    @property
    def exact(self) -> bool:
        """Whether no pixel is resampled."""
        return self.box[2:] == self.inner[2:]


def framed(
    shape: tuple[int, int], size: Size, fit: str, place: tuple[float, float] = (0.5, 0.5)
) -> Frame:
    """How a picture of `shape` (H, W) meets `size` under a fit; place: of a random crop, in [0, 1).

    ValueError for an unknown fit; UnreadableImage for a picture smaller than its crop.
    """
    (high, wide), (h, w) = shape, sides(size)
    whole, full = (0, 0, high, wide), (0, 0, h, w)
    if fit not in FITS:
        raise ValueError(f"fit={fit!r} is unknown; use one of {', '.join(FITS)}")
    if fit == "native" or (fit in ("crop", "pad", "stretch") and shape == (h, w)):
        return Frame(whole, whole, shape)
    if fit == "crop":
        box_h, box_w = (
            min(high, max(1, round(wide * h / w))),
            min(wide, max(1, round(high * w / h))),
        )
        return Frame(((high - box_h) // 2, (wide - box_w) // 2, box_h, box_w), full, (h, w))
    if fit == "stretch":
        return Frame(whole, full, (h, w))
    if fit == "pad":
        scale = min(h / high, w / wide)
        inner_h, inner_w = max(1, round(high * scale)), max(1, round(wide * scale))
        inner = ((h - inner_h) // 2, (w - inner_w) // 2, inner_h, inner_w)
        return Frame(whole, inner, (h, w))
    if fit == "keep":
        scale = max(h / high, w / wide)
        shown = max(1, round(high * scale)), max(1, round(wide * scale))
        return Frame(whole, (0, 0, *shown), shown)
    if high < h or wide < w:
        raise UnreadableImage(
            f"{wide}x{high} pixels, smaller than the crop of {w}x{h}: use a smaller data.size, "
            "or data.fit=crop"
        )
    top, left = (int(p * (long - short + 1)) for p, long, short in
                 zip(place, shape, (h, w), strict=True))  # fmt: skip
    return Frame((top, left, h, w), full, (h, w))


def fitted(pixels: np.ndarray, size: Size, fit: str = "crop") -> np.ndarray:
    """The image that a picture becomes; itself where nothing changes."""
    return framed(pixels.shape[:2], size, fit).of(pixels)


def part(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of a box: top, left, height, width."""
    top, left, height, width = box
    return pixels[top : top + height, left : left + width]


def resized(
    pixels: np.ndarray, shape: tuple[int, int], box: tuple[int, int, int, int] | None = None
) -> np.ndarray:
    """A box of (H, W, C), or all of it, at another height and width, in its own type."""
    top, left, height, width = box or (0, 0, *pixels.shape[:2])
    if (height, width) == tuple(shape):
        return part(pixels, (top, left, height, width))
    if pixels.dtype not in (np.uint8, np.float32):
        raise TypeError(f"pixels of {pixels.dtype} are not resized")
    bounds = (left, top, left + width, top + height)
    made = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(
                (shape[1], shape[0]), Image.Resampling.BICUBIC, box=bounds
            )
        )
        for c in range(pixels.shape[2])
    ]
    found = np.stack(made, -1)
    return found if pixels.dtype == np.uint8 else found.clip(-1, 1)
