"""Pictures of one folder that is measured, and how they are read: as sRGB of 8 bits, or as numbers
of a range."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from egsde.data.containers import Cut, Slices, is_container, opened_files
from egsde.data.files import Folder
from egsde.data.fits import fitted as fitted_pixels
from egsde.data.folder import Folders
from egsde.data.images import decode, is_image_name, square
from egsde.data.kinds import raster
from egsde.data.rasters import Scale
from egsde.opened import UnreadableImage

Size = tuple[int, int]  # width, height


class Reader(Protocol):
    """How pictures are read, brought to a size, and given to metrics."""

    @property
    def channels(self) -> int: ...
    def read(self, name: str, data: bytes) -> Any:
        """A picture; UnreadableImage with the reason."""
        ...

    def size(self, picture: Any) -> Size: ...
    def fitted(self, picture: Any, size: Size, fit: str) -> Any: ...
    def tensor(self, picture: Any) -> Tensor:
        """(1, C, H, W), uint8, or float32 in [-1, 1]."""
        ...

    def shown(self, picture: Any) -> Image.Image:
        """To look at."""
        ...


@dataclass(frozen=True)
class Plain:
    """Pictures of Pillow, 8-bit sRGB."""

    channels: int = 3

    def read(self, name: str, data: bytes) -> Image.Image:
        return decode(data)

    def size(self, picture: Image.Image) -> Size:
        return picture.size

    def fitted(self, picture: Image.Image, size: Size, fit: str) -> Image.Image:
        return fitted(picture, size, fit)

    def tensor(self, picture: Image.Image) -> Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous()

    def shown(self, picture: Image.Image) -> Image.Image:
        return picture


@dataclass(frozen=True)
class Deep:
    """Arrays (H, W, C) of `channels`: bytes, or float32 with the scale's ends at -1 and 1."""

    channels: int
    scale: Scale

    def read(self, name: str, data: bytes) -> np.ndarray:
        try:
            return self.scale.unit(raster(name, data, self.channels).pixels)
        except UnreadableImage as error:
            raise UnreadableImage(str(error).replace("data.", "")) from error

    def size(self, picture: np.ndarray) -> Size:
        return picture.shape[1], picture.shape[0]

    def fitted(self, picture: np.ndarray, size: Size, fit: str) -> np.ndarray:
        same = self.size(picture) == size
        return picture if same else fitted_pixels(picture, (size[1], size[0]), fit)

    def tensor(self, picture: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))[None]

    def shown(self, picture: np.ndarray) -> Image.Image:
        pixels = picture if picture.dtype == np.uint8 else np.rint((picture + 1) * 127.5)
        colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, 2)
        return Image.fromarray(np.ascontiguousarray(colours.astype(np.uint8)))


def reader_of(channels: int, scale: Scale) -> Reader:
    """Of pictures with so many channels and of such a range."""
    return Plain() if channels == 3 and scale == Scale() else Deep(channels, scale)


class Pile:
    """Pictures of one file, folder, zip or folder in a zip, at any depth, slices of volumes among
    them; split: as data= does. ValueError where there is none, or no picture in it."""

    def __init__(
        self, key: str, path: str, split: str | None = None, reader: Reader | None = None
    ) -> None:
        self.what, self.reader = f"{key}={path}", reader or Plain()
        place = Path(path).expanduser()
        if (place / "images").is_dir() and (place / "run.json").is_file():
            place = place / "images"  # a run of sample.py
        channels = self.reader.channels
        cut, alone = Cut(channels=channels), split is None and place.is_file()
        if alone and (is_image_name(place.name) or is_container(place.name)):
            files: Slices | None = Slices(Folder(place.parent), cut, only=place.name)
        else:
            files = opened_files(place, cut)
        if files is None:
            raise ValueError(f"{self.what} does not exist; give a folder or a zip")
        self.files: Slices = files
        if split is not None:
            self.files, self.paths = Folders(channels=channels).paths(str(place), split)
        else:
            self.paths = {name: name for name in files.under("")}
        if not self.paths:
            raise ValueError(f"{self.what} holds no pictures that can be read")
        self.names = list(self.paths)

    def picture(self, name: str) -> Any:
        """As the reader has it; ValueError that names the file where it cannot be read."""
        try:
            return self.reader.read(self.paths[name], self.files.read(self.paths[name]))
        except (UnreadableImage, OSError) as error:
            raise ValueError(
                f"{self.what}: {name} cannot be read ({error}); repair or remove it"
            ) from error

    def size(self, name: str) -> Size:
        """Width and height of a picture."""
        return self.reader.size(self.picture(name))

    def shown(self, name: str) -> Image.Image:
        """A picture to look at."""
        return self.reader.shown(self.picture(name))

    def place(self, name: str) -> str:
        """The file's path, as it is recorded."""
        return self.files.place(self.paths[name])


def fitted(picture: Image.Image, size: Size, fit: str) -> Image.Image:
    """The picture at (width, height) by Pillow's bicubic; unchanged where it is of that size."""
    if picture.size == size:
        return picture
    if size[0] == size[1]:
        return Image.fromarray(square(picture, size[0], fit))
    way: Any = {"crop": ImageOps.fit, "pad": _padded}.get(fit, Image.Image.resize)
    return way(picture, size, Image.Resampling.BICUBIC)


def _padded(picture: Image.Image, size: Size, method: Image.Resampling) -> Image.Image:
    return ImageOps.pad(picture, size, method, color="white")
