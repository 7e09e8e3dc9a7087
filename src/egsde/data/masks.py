"""Masks of the known pixels, for SDEdit with a mask and RePaint: one picture, or one per image."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from egsde.data.domains import stem
from egsde.data.files import Files, Folder, open_files
from egsde.data.images import decode, is_image_name, square


class Masks:
    """Masks by image id: white (128 and more) = keep, black = fill in.

    path: one picture for all images, or a folder or zip of pictures named like the images (suffix
    apart), shrunk and cut like them.
    """

    def __init__(self, path: str, size: int, fit: str = "crop") -> None:
        place = Path(path).expanduser()
        self.one = place.name if place.is_file() and is_image_name(place.name) else None
        files: Files | None = Folder(place.parent) if self.one else open_files(place)
        if files is None:
            raise ValueError(f"data.mask={path} does not exist; give a picture, a folder or a zip")
        self.files, self.path, self.size, self.fit = files, path, size, fit
        self.names = {} if self.one else {stem(name): name for name in files.under("")}

    def __getitem__(self, name: str) -> Tensor:
        """float32 (1, size, size), 0 or 1; ValueError where the image has no mask."""
        file = self.one or self.names.get(stem(name))
        if file is None:
            raise ValueError(f"data.mask={self.path} has no mask for image {name}")
        array = square(decode(self.files.read(file)), self.size, self.fit)
        return torch.from_numpy(array[..., 0] >= 128).float()[None]
