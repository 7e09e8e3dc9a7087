"""Paired data sets: two folders of files of the same names, or both pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from egsde.data.file_images import FileImages, Part
from egsde.data.fits import Size
from egsde.data.folder import Folders
from egsde.opened import UnreadableImage


class PairedFolders(Folders):
    """Domains whose images of the same name (suffix apart) show the same thing."""

    paired = True


class HalvesOfAFile(Folders):
    """Files that hold two pictures, one in each half, in {split} folders or in one pool.

    halves: names of the domains in the left and in the right half.
    """

    paired = True

    def __init__(
        self,
        root: str,
        halves: Sequence[str] = ("left", "right"),
        layouts: Sequence[str] = ("{split}", ""),
        **options: Any,
    ) -> None:
        super().__init__(root, layouts, **options)
        self.parts: dict[str, Part] = dict(zip(halves, (left, right), strict=True))

    def refuse_alike(self, domains: Sequence[str]) -> None:
        """Both domains lie in the same files."""

    def unseen(self, domain: str, split: str, size: Size, part: Part | None = None) -> FileImages:
        """The halves of one side, not yet looked at; ValueError for an unknown side."""
        if domain not in self.parts:
            raise ValueError(f"domain {domain!r} is unknown; use {' or '.join(self.parts)}")
        return super().unseen(domain, split, size, self.parts[domain])


def left(pixels: np.ndarray) -> np.ndarray:
    """The left half of a picture (H, W, C)."""
    _check(pixels)
    return pixels[:, : pixels.shape[1] // 2]


def right(pixels: np.ndarray) -> np.ndarray:
    """The right half of a picture."""
    _check(pixels)
    return pixels[:, pixels.shape[1] - pixels.shape[1] // 2 :]


def _check(pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    if abs(width - 2 * height) > 2:  # a pixel of rounding in each half
        raise UnreadableImage(
            f"{width}x{height} pixels are not two squares side by side, twice as wide as high"
        )
