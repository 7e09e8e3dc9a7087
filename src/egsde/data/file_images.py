"""Pictures of one domain that lie in files, and the look at them before the work begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from egsde.data.containers.names import is_slice
from egsde.data.domains import spread
from egsde.data.files import Files
from egsde.data.fits import FITS, WHOLE, Frame, Size, framed, sides
from egsde.data.images import UnreadableImage, seems_whole
from egsde.data.kinds import PNG, kind_of, raster
from egsde.data.ranges import OUTSIDE, judge
from egsde.data.rasters import Raster, Scale

SAMPLE = 8  # so many of a set that does not fit into memory are decoded at once, to judge it
Part = Callable[[np.ndarray], np.ndarray]


class FileImages:
    """Images decoded from files; unreadable ones are refused or skipped, by name, never silently.

    on_error "refuse" raises ValueError where one is looked at or read; "skip" decodes every file
    first and leaves the bad ones out with a warning, so that the ids are the same in every process.
    channels, scale: what the files have to hold, and which of their numbers become [-1, 1].
    """

    def __init__(
        self,
        files: Files,
        paths: Mapping[str, str],
        size: Size,
        *,
        fit: str = "crop",
        on_error: str = "refuse",
        cache_mib: int = 256,
        part: Part | None = None,
        channels: int = 3,
        scale: Scale = Scale(),  # noqa: B008 (frozen)
    ) -> None:
        if on_error not in ("refuse", "skip"):
            raise ValueError(f"on_error={on_error!r} is unknown; use refuse or skip")
        if fit not in FITS:
            raise ValueError(f"data.fit={fit!r} is unknown; use one of {', '.join(FITS)}")
        self.files, self.paths, self.size = files, dict(paths), size
        self.channels, self.scale, self.each = channels, scale, 0
        self.shapes: dict[str, tuple[int, int]] = {}
        self.fit, self.part, self.cache = fit, part, cache_mib * 2**20
        self.ids = list(paths)
        self.seen: set[str] = set()
        self.sampled = False
        self.held: dict[str, np.ndarray] = {}
        self.notes: dict[str, dict] = {}
        if on_error == "skip":
            bad = self.open(self.ids, keep=self.fits(len(self.ids)))
            if bad and len(bad) < len(self.ids):
                warnings.warn(f"{self.told(bad, len(self.ids))}; skipped", stacklevel=2)
                self.ids = [name for name in self.ids if name not in bad]
            elif bad:
                self.refuse(bad, len(self.ids))
            judge(self.notes, self.scale.given)
            self.seen.update(self.ids)

    def look(self, chosen: Sequence[int], mine: Sequence[int] = ()) -> None:
        """Open, once, what will be read; ValueError names what cannot be.

        chosen: the images of the work: decoded and kept where they fit into the cache, else a few
        of them. mine: of these, what this process will read; its files' ends are looked at, too.
        """
        names = [self.ids[i] for i in chosen if self.ids[i] not in self.seen]
        if not names:
            return
        keep = self.fits(len(self.held) + len(names))
        now = names if keep else [self.ids[i] for i in mine if self.ids[i] not in self.seen]
        if bad := self.open([n for n in now if keep or self.doubtful(n)], keep=keep):
            self.refuse(bad, len(names))
        if not keep and not self.sampled:
            self.sampled = True
            for place in spread(len(names), SAMPLE):
                self.attempt(names[place])
        judge(self.notes, self.scale.given)
        self.seen.update(now)

    def fits(self, count: int) -> bool:
        """Whether so many images go into the cache: each of the size, or like the first where
        their size is only known then."""
        if not self.each and self.ids:
            height, width = sides(self.size)
            self.each = height * width * self.channels
            usual = self.fit not in (*WHOLE, "random_crop")
            if not usual or kind_of(self.paths[self.ids[0]]) is not PNG:
                found = self.attempt(self.ids[0])
                self.each = 4 * self.each if isinstance(found, str) else found.nbytes
        return count * self.each <= self.cache

    def doubtful(self, name: str) -> bool:
        """Whether a file's ends say that it is cut or no image, or cannot be read."""
        try:
            return not seems_whole(*self.files.ends(self.paths[name]))
        except OSError:
            return True

    def source(self, name: str) -> Raster:
        """The file as it is, with as many channels as the images have."""
        path, files = self.paths[name], self.files
        cut: Any = getattr(files, "raster", None) if is_slice(path) else None
        found = cut(path, self.channels) if cut else raster(path, files.read(path), self.channels)
        return found if self.part is None else found.with_pixels(self.part(found.pixels))

    def frame(self, shape: tuple[int, int]) -> Frame:
        """Where in a picture of this height and width the image lies."""
        return framed(shape, self.size, self.fit)

    def decoded(self, name: str) -> np.ndarray:
        """The image; of a random crop the whole picture."""
        source = self.source(name)
        pixels, notes = source.pixels, dict(source.notes)
        if not self.scale.plain(pixels) and (outside := self.scale.outside(pixels)):
            notes[OUTSIDE] = (outside, pixels.size)
        if notes:
            self.notes[name] = notes
        self.shapes[name] = pixels.shape[1], pixels.shape[0]
        frame, unit = self.frame(pixels.shape[:2]), self.scale.unit(pixels)
        return unit if self.fit == "random_crop" else frame.of(unit)

    def shape(self, name: str) -> tuple[int, int]:
        if name not in self.shapes:
            pixels = self.source(name).pixels
            self.shapes[name] = pixels.shape[1], pixels.shape[0]
        return self.shapes[name]

    def side(self, index: int) -> tuple[int, int]:
        """Height and width of an image, as the networks see it."""
        width, height = self.shape(self.ids[index])
        return self.frame((height, width)).shape

    def attempt(self, name: str) -> np.ndarray | str:
        """The image, or why it cannot be read."""
        try:
            return self.decoded(name)
        except (UnreadableImage, OSError) as error:
            return f"{name} ({error})"

    def open(self, names: Sequence[str], *, keep: bool) -> dict[str, str]:
        """Decode some files once; keep the pictures, or only learn which are bad."""
        bad: dict[str, str] = {}
        with ThreadPoolExecutor() as pool:
            for name, result in zip(names, pool.map(self.attempt, names), strict=True):
                if isinstance(result, str):
                    bad[name] = result
                elif keep:
                    self.held[name] = result
        return bad

    def told(self, bad: Mapping[str, str], count: int) -> str:
        """How many of them are bad, and which."""
        names = ", ".join(bad.values())
        return f"{len(bad)} of {count} images of {self.files.name('')} cannot be read: {names}"

    def refuse(self, bad: Mapping[str, str], count: int) -> None:
        """ValueError with what to do."""
        raise ValueError(
            f"{self.told(bad, count)}; repair or remove them, or use data.on_error=skip"
        )

    def array(self, index: int) -> np.ndarray:
        found = self.read(index)
        return found if self.fit != "random_crop" else self.frame(found.shape[:2]).of(found)

    def cropped(self, index: int, place: tuple[float, float]) -> np.ndarray:
        """The part of an image at a random place, where the fit has one; else the image."""
        found = self.read(index)
        if self.fit != "random_crop":
            return found
        return framed(found.shape[:2], self.size, self.fit, place).of(found)

    def read(self, index: int) -> np.ndarray:
        if (held := self.held.get(self.ids[index])) is not None:
            return held
        result = self.attempt(self.ids[index])
        if isinstance(result, str):
            raise ValueError(
                f"an image of {self.files.name('')} cannot be read: {result}; repair or remove it, "
                "or use data.on_error=skip"
            )
        return result
