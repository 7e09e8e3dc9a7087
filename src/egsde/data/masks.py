"""Masks of the known pixels, for RePaint, inpainting and SDEdit: 1 = keep, 0 = fill in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from egsde.data.beside import Beside
from egsde.data.domains import Images
from egsde.data.drawing import drawing
from egsde.data.fits import WHOLE, Frame, Size, framed

DRAWN = {  # the part of both sides that is filled in: rows, columns
    "centre": ((0.25, 0.75), (0.25, 0.75)),
    "right": ((0.0, 1.0), (0.5, 1.0)),
    "bottom": ((0.5, 1.0), (0.0, 1.0)),
}


class Drawn:
    """A rectangle to fill in, by its name in DRAWN."""

    def __init__(self, name: str) -> None:
        self.rows, self.columns = DRAWN[name]

    def check(self, ids: Sequence[str], images: Images) -> None:
        """It goes with any image."""

    def of(self, name: str, shape: tuple[int, int]) -> Tensor:
        """float32 (1, *shape), 0 or 1."""
        mask = torch.ones(1, *shape)
        rows, columns = (
            slice(round(first * side), round(last * side))
            for (first, last), side in zip((self.rows, self.columns), shape, strict=True)
        )
        mask[:, rows, columns] = 0
        return mask


class Masks:
    """Masks from files by image id, shrunk and cut like the images: white = keep.

    ValueError for one of another shape than its image, smaller than the images, or more than a
    quarter grey.
    """

    def __init__(self, path: str, size: Size, fit: str = "crop") -> None:
        self.beside, self.size, self.fit = Beside("data.mask", path), size, fit

    def check(self, ids: Sequence[str], images: Images) -> None:
        """ValueError where an image has no mask, or one of another shape."""
        self.beside.check(ids)
        shapes: dict[str, tuple[int, int]] = {}
        for name in ids:
            file = str(self.beside.file(name))
            if file not in shapes:
                shapes[file] = self.beside.read(name, drawing).size
            (w, h), (width, height) = shapes[file], images.shape(name)
            if abs(w * height - width * h) > max(width, height, w, h):  # a pixel of rounding
                raise ValueError(
                    f"{self.beside.what}: {file} has {w}x{h} pixels, another shape than {name}, "
                    f"which has {width}x{height}; draw the mask on the image itself"
                )

    def of(self, name: str, shape: tuple[int, int]) -> Tensor:
        """float32 (1, *shape), 0 or 1."""
        picture = np.asarray(self.beside.read(name, drawing))
        file, (high, wide) = f"{self.beside.what}: {self.beside.file(name)}", picture.shape[:2]
        frame = framed((high, wide), self.size, self.fit)
        if self.fit in WHOLE:  # as the image's own frame is
            frame = Frame((0, 0, high, wide), (0, 0, *shape), shape)
        if any(a < b for a, b in zip(frame.box[2:], frame.inner[2:], strict=True)):
            raise ValueError(
                f"{file} has {wide}x{high} pixels, fewer than the images, which are "
                f"{shape[1]}x{shape[0]}; draw the mask on a picture of the image's own size"
            )
        array = frame.of(picture)[..., 0]
        grey = float(np.mean((array >= 64) & (array < 192)))
        if grey > 0.25:
            raise ValueError(
                f"{file} is no mask: {grey:.0%} of it is grey; paint what is kept white and what "
                "is filled in black"
            )
        return torch.from_numpy(array >= 128).float()[None]


def masks(path: str, size: Size, fit: str = "crop") -> Masks | Drawn:
    """data.mask: a picture, folder or zip; or the name of a drawn rectangle."""
    return Drawn(path) if path in DRAWN else Masks(path, size, fit)
