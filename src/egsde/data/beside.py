"""Pictures beside the images: one for all of them, or one each, named like it (suffix apart)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from egsde.data.domains import by_stem, stem
from egsde.data.files import Files, Folder, open_files
from egsde.data.images import UnreadableImage, decode, is_image_name

T = TypeVar("T")


class Beside:
    """key: the option that named the path, for messages; path: a picture, a folder or a zip.

    ValueError where there is none, or no picture in it.
    """

    def __init__(self, key: str, path: str) -> None:
        place = Path(path).expanduser()
        self.what, self.path = f"{key}={path}", path
        self.one = place.name if place.is_file() and is_image_name(place.name) else None
        files: Files | None = Folder(place.parent) if self.one else open_files(place)
        if files is None:
            raise ValueError(f"{self.what} does not exist; give a picture, a folder or a zip")
        self.files = files
        self.names = {} if self.one else by_stem(files.under(""), self.what)
        if not self.one and not self.names:
            raise ValueError(f"{self.what} holds no pictures; name them like the images")

    def check(self, ids: Sequence[str]) -> None:
        """ValueError that names the images without a picture."""
        lacking = [name for name in ids if self.file(name) is None]
        if lacking:
            shown = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
            raise ValueError(
                f"{self.what} has nothing for {len(lacking)} of {len(ids)} images ({shown}); name "
                f"its pictures like the images, such as {stem(lacking[0])}.png, or give one for all"
            )

    def file(self, name: str) -> str | None:
        """The file that goes with an image."""
        return self.one or self.names.get(stem(name))

    def read(self, name: str, decoder: Callable[[bytes], T]) -> T:
        """What `decoder` makes of an image's file; ValueError where there is none or it fails."""
        self.check([name])
        file = str(self.file(name))
        try:
            return decoder(self.files.read(file))
        except (UnreadableImage, OSError) as error:
            raise ValueError(f"{self.what}: {file} cannot be read: {error}") from error

    def picture(self, name: str) -> Image.Image:
        """The upright RGB picture of an image; ValueError where there is none or it is damaged."""
        return self.read(name, decode)
