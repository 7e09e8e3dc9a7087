"""A single picture, volume or clip as a domain: `data.source=photo.png`, `=scan.nii.gz`."""

from __future__ import annotations

from pathlib import Path

from egsde.data.containers import Cut, Slices, is_container, opened_files
from egsde.data.file_images import FileImages
from egsde.data.files import Folder
from egsde.data.fits import Size
from egsde.data.images import is_image_name
from egsde.data.rasters import Scale


def is_picture(domain: str, store: object = None) -> bool:
    """Whether a domain's name is a file to translate; FileNotFoundError for one that is not there.

    Beside a store that opens no folders of its own a path to a folder is one, too: ./scans.
    """
    place = Path(domain).expanduser()
    if place.is_dir():  # a store's own name of a domain may be that of a folder here
        return store is not None and not hasattr(store, "places") and "/" in domain
    if not is_image_name(domain) and not is_container(domain):
        return False
    if not place.is_file():
        raise FileNotFoundError(f"no image at {Path(domain).absolute()}; name a file that exists")
    return True


def one_picture(
    domain: str, size: Size, fit: str = "crop", channels: int = 3, scale: Scale | None = None,
    cut: Cut | None = None,
) -> FileImages:  # fmt: skip
    """The picture alone, whose id is the file's name, the slices of a container, or a folder's
    pictures. ValueError where a folder holds none."""
    path, cut = Path(domain).expanduser(), cut or Cut(channels=channels)
    if path.is_dir():
        found = opened_files(path, cut)
        names = [] if found is None else found.under("")
        if found is None or not names:
            raise ValueError(f"no images under {path}; name a folder that holds some")
    else:
        found = Slices(Folder(path.parent), cut, only=path.name)
        names = found.listing("")
    return FileImages(
        found, {name: name for name in names}, size,
        fit=fit, channels=channels, scale=scale or Scale(),
    )  # fmt: skip
