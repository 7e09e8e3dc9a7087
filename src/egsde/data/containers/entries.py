"""What a container is, by a look at its head; series of DICOM files belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from egsde.data.containers import dicom
from egsde.data.containers.arrays import Arrays
from egsde.data.containers.base import Container, Cut, Glance, Volume
from egsde.data.containers.gif import Gif
from egsde.data.containers.nifti import Nifti
from egsde.data.containers.stacked_tiff import StackedTiff
from egsde.data.containers.video import FORMATS, Video
from egsde.data.files import Files
from egsde.data.images import is_image_name
from egsde.data.kinds import TIFF
from egsde.opened import UnreadableImage

READERS: tuple[Container, ...] = (Nifti(), StackedTiff(TIFF), Arrays(), Gif(), *map(Video, FORMATS))


def reader_of(path: str) -> Container | None:
    """What may read a file as a series, by its name."""
    return next((r for r in READERS if path.lower().endswith(r.suffixes)), None)


def is_container(name: str) -> bool:
    """Whether a file's name is one of a volume or clip, whatever it holds."""
    return name.lower().endswith((*Nifti.suffixes, *FORMATS, *dicom.SUFFIXES))


@dataclass(frozen=True)
class Entry:
    """A container: its files, what is in it, why it cannot be read, and what reads it."""

    files: tuple[str, ...]
    glance: Glance | None
    wrong: str
    read: Callable[[], Volume]

    def count(self, cut: Cut) -> int:
        return 1 if self.glance is None else self.glance.shape[self.glance.stacked(cut.axis)]


def entry_of(files: Files, path: str, cut: Cut) -> Entry | None:
    """A file that is a series; None for any other. One that is damaged is left to what reads
    pictures, where it may be one."""
    reader = reader_of(path)
    if reader is None:
        return None

    def read() -> Volume:
        return reader.read(files.read(path), cut)

    try:
        with files.open(path) as file:
            glance = reader.glance(file, cut)
    except UnreadableImage as error:
        return Entry((path,), None, str(error), read)
    except Exception as error:  # decoders raise OSError, struct.error, EOFError, ...
        if "pip install" in str(error):
            raise
        return None if is_image_name(path) else Entry((path,), None, str(error), read)
    return None if glance is None else Entry((path,), glance, "", read)


def is_dicom(files: Files, path: str) -> bool:
    """By its name, or by its first bytes where that says nothing."""
    if dicom.named(path) or not dicom.nameless(path):
        return dicom.named(path)
    try:
        with files.open(path) as file:
            return file.read(dicom.AT + 4)[dicom.AT :] == dicom.MAGIC
    except (OSError, UnreadableImage):
        return False


def series_of(files: Files, parent: str, paths: list[str], alone: bool) -> dict[str, Entry]:
    """The series of a folder's files by their places: the folder, where it holds one and the files
    are not looked at `alone`; else the first file of each."""
    heads, found = {}, {}
    for path in paths:
        try:
            with files.open(path) as file:
                heads[path] = dicom.head(file)
        except UnreadableImage as error:
            found[path] = Entry((path,), None, str(error), partial(_volume, files, (path,)))
    groups: dict[str, list[str]] = {}
    for path, header in heads.items():
        groups.setdefault(str(header.get("SeriesInstanceUID", path)), []).append(path)
    for group in groups.values():
        group.sort(key=lambda path: (*dicom.place(heads[path]), path))
        place = parent if len(groups) == 1 and not alone else min(group)
        read = partial(_volume, files, tuple(group))
        try:
            glance, wrong = dicom.glance([heads[path] for path in group]), ""
        except UnreadableImage as error:
            glance, wrong = None, str(error)
        found[place] = Entry(tuple(group), glance, wrong, read)
    return found


def _volume(files: Files, paths: tuple[str, ...]) -> Volume:
    return dicom.read({path: files.read(path) for path in paths})
