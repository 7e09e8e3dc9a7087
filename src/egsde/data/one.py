"""A single picture as a domain: `data.source=photo.png`."""

from __future__ import annotations

from pathlib import Path

from egsde.data.file_images import FileImages
from egsde.data.files import Folder
from egsde.data.fits import Size
from egsde.data.images import is_image_name
from egsde.data.rasters import Scale


def is_picture(domain: str) -> bool:
    """Whether a domain's name is an image file; FileNotFoundError for one that is not there."""
    if not is_image_name(domain) or Path(domain).is_dir():
        return False
    if not Path(domain).expanduser().is_file():
        raise FileNotFoundError(f"no image at {Path(domain).absolute()}; name a file that exists")
    return True


def one_picture(
    domain: str, size: Size, fit: str = "crop", channels: int = 3, scale: Scale | None = None
) -> FileImages:
    """The picture alone; its id is the file's name."""
    path = Path(domain).expanduser()
    return FileImages(
        Folder(path.parent), {path.name: path.name}, size,
        fit=fit, channels=channels, scale=scale or Scale(),
    )  # fmt: skip
