"""Paired data sets: two folders of files of the same names, or both pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from egsde.data.file_images import FileImages, Part
from egsde.data.folder import Folders
from egsde.data.opened import UnreadableImage


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

    def unseen(self, domain: str, split: str, size: int, part: Part | None = None) -> FileImages:
        if domain not in self.parts:
            raise ValueError(f"domain {domain!r} is unknown; use {' or '.join(self.parts)}")
        return super().unseen(domain, split, size, self.parts[domain])


def left(image: Image.Image) -> Image.Image:
    """The left half of a picture."""
    _check(image)
    return image.crop((0, 0, image.width // 2, image.height))


def right(image: Image.Image) -> Image.Image:
    """The right half of a picture."""
    _check(image)
    return image.crop((image.width - image.width // 2, 0, image.width, image.height))


def _check(image: Image.Image) -> None:
    if abs(image.width - 2 * image.height) > 2:  # a pixel of rounding in each half
        raise UnreadableImage(
            f"{image.width}x{image.height} pixels are not two squares side by side, twice as wide "
            "as high"
        )
