"""Where image files lie: a folder or a zip archive, listed and read by posix paths."""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import Protocol

from egsde.data.images import is_image_name

ENDS = 32


def is_image(path: str) -> bool:
    """True for a path with an image's suffix and no hidden part."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.split("/"))
    return is_image_name(path) and not hidden


class Files(Protocol):
    """Image files under one root."""

    def under(self, folder: str) -> list[str]:
        """Sorted paths of the images below a folder, relative to it; [] where there is none."""
        ...

    def tops(self) -> list[str]:
        """Names of the folders directly below the root."""
        ...

    def read(self, path: str) -> bytes: ...

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        """First and last ENDS bytes, and the size."""
        ...


class Folder:
    """Files of a directory, links followed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def under(self, folder: str) -> list[str]:
        top = self.root / folder
        found: list[str] = []
        seen: set[str] = set()
        for place, folders, names in os.walk(top, followlinks=True):
            if os.path.realpath(place) in seen:  # a link back up
                folders.clear()
                continue
            seen.add(os.path.realpath(place))
            found += [(Path(place) / name).relative_to(top).as_posix() for name in names]
        return sorted(path for path in found if is_image(path))

    def tops(self) -> list[str]:
        folders = (place.name for place in self.root.iterdir() if place.is_dir())
        return sorted(name for name in folders if not name.startswith("."))

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        with open(self.root / path, "rb") as file:
            head = file.read(ENDS)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - ENDS))
            return head, file.read(ENDS), size


class Archive:
    """Files of a zip; opened once in each process, so that worker processes may read."""

    def __init__(self, root: Path, inner: str = "") -> None:
        self.root, self.inner = root, f"{inner}/" if inner else ""
        self.handles: dict[int, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "inner": self.inner, "handles": {}}

    @property
    def zip(self) -> zipfile.ZipFile:
        if os.getpid() not in self.handles:
            self.handles = {os.getpid(): zipfile.ZipFile(self.root)}
        return self.handles[os.getpid()]

    @cached_property
    def members(self) -> list[str]:
        names = [
            n.removeprefix(self.inner) for n in self.zip.namelist() if n.startswith(self.inner)
        ]
        return sorted(name for name in names if is_image(name))

    def under(self, folder: str) -> list[str]:
        top = "" if folder in ("", ".") else f"{folder.strip('/')}/"
        return [name.removeprefix(top) for name in self.members if name.startswith(top)]

    def tops(self) -> list[str]:
        return sorted({name.split("/")[0] for name in self.members if "/" in name})

    def read(self, path: str) -> bytes:
        try:
            return self.zip.read(self.inner + path)
        except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # damaged or encrypted
            raise OSError(str(error)) from error

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        data = self.read(path)
        return data[:ENDS], data[-ENDS:], len(data)


def open_files(path: str | Path) -> Folder | Archive | None:
    """The folder or zip at a path, or a folder inside a zip (`a.zip/train`); None if absent.

    An archive that holds nothing but one folder stands for that folder, as in `unzip`.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return Folder(path)
    for parent in (path, *path.parents):
        if parent.is_file():
            if not zipfile.is_zipfile(parent):
                raise ValueError(f"{parent} is neither a folder nor a zip archive")
            inner = path.relative_to(parent).as_posix()
            return Archive(parent, "" if inner == "." else inner)
    return None
