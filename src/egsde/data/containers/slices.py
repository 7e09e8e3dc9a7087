"""Files in which a container appears as a folder of its slices: `scan.nii.gz/@0007.png`.

What reads a folder or zip of pictures so reads volumes and clips. A file that cannot be looked at
appears as one slice, whose reading says why.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from egsde.data.containers.base import Cut, Volume, grey, same
from egsde.data.containers.entries import Entry, entry_of, is_dicom, reader_of, series_of
from egsde.data.containers.names import is_slice, place_of, slice_names
from egsde.data.files import Archive, Files, Folder, open_files
from egsde.data.images import is_image_name
from egsde.data.kinds import KINDS
from egsde.data.rasters import Raster
from egsde.opened import UnreadableImage

MOST_HELD = 2**30  # bytes of volumes that stay in memory
LOCK = threading.Lock()


class Slices:
    """Files under another's root, with containers opened as `cut` says. only: of one file alone."""

    def __init__(self, files: Files, cut: Cut, only: str | None = None) -> None:
        self.files, self.cut, self.only = files, cut, only
        self.entries: dict[str, Entry | None] = {}
        self.volumes: dict[str, Volume] = {}
        self.kept: dict[tuple[str, bool], list[str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "volumes": {}, "entries": {}, "kept": {}}

    def listing(self, folder: str, deep: bool = True) -> list[str]:
        if (folder, deep) not in self.kept:
            self.kept[folder, deep] = self._listing(folder.strip("/"), deep)
        return self.kept[folder, deep]

    def _listing(self, folder: str, deep: bool) -> list[str]:
        top = "" if folder in ("", ".") else f"{folder}/"
        found: list[str] = []
        scans: dict[str, list[str]] = {}
        for name in [self.only] if self.only else self.files.listing(folder, deep):
            path = top + name
            if is_dicom(self.files, path):
                scans.setdefault(path.rpartition("/")[0], []).append(path)
            elif (entry := self.entry(path)) is None:
                found.append(name)
            else:
                found += [n.removeprefix(top) for n in self.names(path, entry)]
        for parent, paths in scans.items():
            for place, entry in series_of(self.files, parent, paths, self.only is not None).items():
                self.entries[place] = entry
                found += [n.removeprefix(top) for n in self.names(place, entry)]
        return sorted(found)

    def names(self, place: str, entry: Entry) -> list[str]:
        """The slices that are images. ValueError where the container has fewer than `slices`
        says."""
        count = entry.count(self.cut)
        every = slice_names(place, count, entry.glance.suffix if entry.glance else ".npy")
        if self.cut.slices is None or entry.glance is None:
            return every
        first, last = self.cut.slices
        if last >= count:
            raise ValueError(
                f"data.slices=[{first},{last}], and {place} has {count} slices, 0 to {count - 1}"
            )
        return every[first : last + 1]

    def entry(self, path: str) -> Entry | None:
        """None for a file that is no series."""
        if path not in self.entries:
            self.entries[path] = entry_of(self.files, path, self.cut)
        return self.entries[path]

    def under(self, folder: str, deep: bool = True) -> list[str]:
        return [name for name in self.listing(folder, deep) if is_image_name(name)]

    def folders(self, folder: str = "") -> list[str]:
        return self.files.folders(folder)

    def name(self, folder: str) -> str:
        return self.files.name(folder)

    def open(self, path: str) -> Any:
        return self.files.open(path)

    def size(self, path: str) -> tuple[Hashable, int]:
        if not is_slice(path):
            return self.files.size(path)
        entry, (_, index) = self.found(path), place_of(path)
        identity, size = self.files.size(entry.files[0])
        return (identity, index), size

    def place(self, path: str) -> str:
        return self.files.place(path)

    def ends(self, path: str) -> tuple[bytes, bytes, int]:
        if not is_slice(path):
            return self.files.ends(path)
        self.found(path)
        return b"", b"", 0  # a doubt: it is decoded

    def read(self, path: str) -> bytes:
        if not is_slice(path):
            return self.files.read(path)
        pixels = self.slice(path)
        found = self.raster(path, pixels.shape[2])
        return found.kind.write(found, {})

    def found(self, path: str) -> Entry:
        """The container of a slice; UnreadableImage where it cannot be read."""
        place, _ = place_of(path)
        if place not in self.entries:
            parent = (
                place.rpartition("/")[0]
                if reader_of(place) or is_dicom(self.files, place)
                else place
            )
            self.listing(parent, False)
        entry = self.entries.get(place)
        if entry is None:
            raise UnreadableImage(f"{place} is no series any more")
        if entry.glance is None:
            raise UnreadableImage(entry.wrong)
        return entry

    def volume(self, path: str) -> Volume:
        """The container of a slice, kept while there is room."""
        entry, (place, _) = self.found(path), place_of(path)
        with LOCK:
            if place not in self.volumes:
                volume = _whole(entry)
                assert entry.glance is not None
                if volume.array.shape != entry.glance.shape:
                    raise UnreadableImage(
                        f"its head says {entry.glance.shape} and its body {volume.array.shape} "
                        "(slices, height, width, channels); it may be cut short"
                    )
                while (
                    self.volumes
                    and volume.array.nbytes + sum(v.array.nbytes for v in self.volumes.values())
                    > MOST_HELD
                ):
                    self.volumes.pop(next(iter(self.volumes)))
                self.volumes[place] = volume
            return self.volumes[place]

    def slice(self, path: str) -> np.ndarray:
        """(H, W, C)."""
        entry, volume = self.found(path), self.volume(path)
        assert entry.glance is not None
        axis = entry.glance.stacked(self.cut.axis)
        return np.moveaxis(volume.array, axis, 0)[place_of(path)[1]]

    def raster(self, path: str, channels: int) -> Raster:
        """A slice as a file of its own would be read."""
        pixels, volume, entry = self.slice(path), self.volume(path), self.found(path)
        assert entry.glance is not None
        suffix = PurePosixPath(path).suffix
        kept = {"axis": "last", "dtype": pixels.dtype} if suffix == ".npy" else {}
        own = entry.glance.stacked(self.cut.axis) == 0
        held = grey if pixels.shape[2] == 1 else volume.held if own else same
        found = Raster(np.ascontiguousarray(pixels), KINDS[suffix], kept,
                       notes=volume.notes or {}, held=held)  # fmt: skip
        return found.of(channels)

    def bound(self, path: str, slices: dict[int, np.ndarray]) -> dict[str, bytes]:
        """The container's files, by their paths from its place ("." is itself), with other numbers
        (H, W, C) in some slices."""
        entry, volume, (place, _) = self.found(path), self.volume(path), place_of(path)
        assert entry.glance is not None
        array = volume.array.copy()
        view = np.moveaxis(array, entry.glance.stacked(self.cut.axis), 0)
        for index, pixels in slices.items():
            wide = pixels[..., :1] if array.shape[3] == 1 else pixels
            view[index] = np.broadcast_to(wide, view[index].shape)
        made = volume.written(array)
        return {os.path.relpath(own or place, place or "."): data for own, data in made.items()}


def _whole(entry: Entry) -> Volume:
    """A container; UnreadableImage for whatever its body makes a decoder say."""
    try:
        return entry.read()
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(str(error)) from error


def opened_files(path: str | Path, cut: Cut) -> Slices | None:
    """`open_files`, containers opened."""
    files: Folder | Archive | None = open_files(path)
    return None if files is None else Slices(files, cut)
