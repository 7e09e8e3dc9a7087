"""Where image files lie: a folder or a zip archive, listed and read by posix paths."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Hashable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

from egsde.data.images import is_image_name
from egsde.data.meant import instead
from egsde.opened import check_bytes, check_packing, member

ENDS = 32


CLUTTER = ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin",
           "system volume information", "lost+found")  # fmt: skip


def hidden(name: str) -> bool:
    """Whether one part of a path is nothing that a person put there."""
    return name.startswith(".") or name.casefold() in CLUTTER


class Files(Protocol):
    """Image files under one root."""

    def listing(self, folder: str, deep: bool = True) -> list[str]:
        """Sorted paths of the files below a folder, relative to it, hidden ones left out; deep:
        in folders of it, too. [] where there is no such folder; ValueError for one that cannot be
        listed."""
        ...

    def under(self, folder: str, deep: bool = True) -> list[str]:
        """The images of `listing`."""
        ...

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders directly below one."""
        ...

    def name(self, folder: str) -> str:
        """The folder for messages."""
        ...

    def place(self, path: str) -> str:
        """Where a file lies, as it is recorded."""
        ...

    def size(self, path: str) -> tuple[Hashable, int]:
        """What tells a file from all others, whatever it is called, and its bytes."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """A file to read parts of."""
        ...

    def read(self, path: str) -> bytes:
        """Its bytes; OSError where they are damaged, ValueError where they are too many."""
        ...

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        """First and last ENDS bytes, and the size."""
        ...


class Folder:
    """Files of a directory, links followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept: dict[tuple[str, bool], list[str]] = {}

    def listing(self, folder: str, deep: bool = True) -> list[str]:
        if (folder, deep) not in self.kept:
            self.kept[folder, deep] = sorted(self._walk(self.root / folder, deep))
        return self.kept[folder, deep]

    def _walk(self, top: Path, deep: bool) -> Iterator[str]:
        seen: set[str] = set()
        waiting = [(str(top), "")]
        while waiting:
            place, prefix = waiting.pop()
            if (real := os.path.realpath(place)) in seen:  # a link back up
                continue
            seen.add(real)
            for entry in _entries(place):
                if not entry.is_dir():
                    yield f"{prefix}{entry.name}"
                elif deep:
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))

    def under(self, folder: str, deep: bool = True) -> list[str]:
        return [name for name in self.listing(folder, deep) if is_image_name(name)]

    def folders(self, folder: str = "") -> list[str]:
        return sorted(entry.name for entry in _entries(self.root / folder) if entry.is_dir())

    def name(self, folder: str) -> str:
        return str(self.root / folder)

    def place(self, path: str) -> str:
        return str(self.root.resolve() / path)

    def size(self, path: str) -> tuple[Hashable, int]:
        found = (self.root / path).stat()
        return (found.st_dev, found.st_ino), found.st_size

    def open(self, path: str) -> IO[bytes]:
        return open(self._regular(path), "rb")

    def read(self, path: str) -> bytes:
        place = self._regular(path)
        check_bytes(place.stat().st_size)
        return place.read_bytes()

    def _regular(self, path: str) -> Path:
        place = self.root / path
        if place.exists() and not place.is_file():  # a pipe would wait for ever
            raise OSError("not a regular file")
        return place

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        with open(self._regular(path), "rb") as file:
            head = file.read(ENDS)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - ENDS))
            return head, file.read(ENDS), size


def _entries(place: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, hidden things left out; [] where there is none."""
    try:
        with os.scandir(place) as found:
            return [entry for entry in found if not hidden(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ValueError(f"{place} cannot be listed: {error.strerror}") from error


class Archive:
    """Files of a zip; opened once in each process, so that worker processes may read."""

    def __init__(self, root: Path, inner: str = "") -> None:
        self.root, self.inner = root, f"{inner}/" if inner else ""
        self.handles: dict[int, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "inner": self.inner, "handles": {}}

    @property
    def zip(self) -> zipfile.ZipFile:
        """This process's handle; ValueError where its names are none."""
        if os.getpid() not in self.handles:
            try:
                self.handles = {os.getpid(): zipfile.ZipFile(self.root)}
            except (ValueError, NotImplementedError) as error:
                raise ValueError(f"{self.root} cannot be opened: {error}; pack it anew") from error
        return self.handles[os.getpid()]

    @cached_property
    def members(self) -> list[str]:
        """Paths of all files, hidden ones left out; ValueError where one is no plain file."""
        check_members(self.root, self.zip.infolist())
        every = (n for n in self.zip.namelist() if n.startswith(self.inner))
        names = (n.removeprefix(self.inner) for n in every if not n.endswith("/"))
        return sorted(name for name in names if not any(map(hidden, name.split("/"))))

    def listing(self, folder: str, deep: bool = True) -> list[str]:
        top = "" if folder in ("", ".") else f"{folder.strip('/')}/"
        names = [name.removeprefix(top) for name in self.members if name.startswith(top)]
        return [name for name in names if deep or "/" not in name]

    def under(self, folder: str, deep: bool = True) -> list[str]:
        return [name for name in self.listing(folder, deep) if is_image_name(name)]

    def folders(self, folder: str = "") -> list[str]:
        return sorted({name.split("/")[0] for name in self.listing(folder) if "/" in name})

    def name(self, folder: str) -> str:
        return "/".join(part for part in (str(self.root), self.inner + folder) if part).rstrip("/")

    def place(self, path: str) -> str:
        return self.name(path)

    def size(self, path: str) -> tuple[Hashable, int]:
        member = self.inner + path
        return (os.path.realpath(self.root), member), self.zip.getinfo(member).file_size

    def open(self, path: str) -> IO[bytes]:
        info = self.zip.getinfo(self.inner + path)
        check_packing(info)
        check_bytes(info.file_size)
        return self.zip.open(info)

    def read(self, path: str) -> bytes:
        try:
            return member(self.zip, self.inner + path)
        except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # damaged or encrypted
            raise OSError(str(error)) from error

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        data = self.read(path)
        return data[:ENDS], data[-ENDS:], len(data)


def check_members(root: Path, members: list[zipfile.ZipInfo]) -> None:
    """ValueError names a member that would lie elsewhere, is a link, or stands there twice."""
    seen: set[str] = set()
    for entry in members:
        name = entry.filename.removesuffix("/")
        wrong = None
        if stat.S_ISLNK(entry.external_attr >> 16):
            wrong = "is a link"
        elif "\\" in name or name[1:2] == ":" or {"", ".", ".."} & set(name.split("/")):
            wrong = "leads out of the archive, or has no plain path"
        elif name in seen:
            wrong = "stands there twice"
        if wrong:
            raise ValueError(f"{root} holds {entry.filename!r}, which {wrong}; pack it anew")
        seen.add(name)


def open_files(path: str | Path) -> Folder | Archive | None:
    """The folder or zip at a path, or a folder inside a zip (`a.zip/train`); None if absent.

    ValueError where that cannot be told.
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            return Folder(path)
        archive = next((place for place in (path, *path.parents) if place.is_file()), None)
        if archive is None:
            return None
        if not zipfile.is_zipfile(archive):
            raise ValueError(f"{archive} is neither a folder nor a zip archive; {instead(archive)}")
        inner = path.relative_to(archive).as_posix()
        return Archive(archive, "" if inner == "." else inner)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be opened: {error}") from error
