"""Pictures of one domain that lie in files, and the look at them before the work begins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from egsde.data.domains import spread
from egsde.data.files import Files
from egsde.data.images import UnreadableImage, decode, seems_whole, square
from egsde.data.ranges import judge

SAMPLE = 8  # so many of a set that does not fit into memory are decoded at once, to judge it
Part = Callable[[Image.Image], Image.Image]


class FileImages:
    """Images decoded from files; unreadable ones are refused or skipped, by name, never silently.

    on_error "refuse" raises ValueError where one is looked at or read; "skip" decodes every file
    first and leaves the bad ones out with a warning, so that the ids are the same in every process.
    """

    def __init__(
        self,
        files: Files,
        paths: Mapping[str, str],
        size: int,
        *,
        fit: str = "crop",
        on_error: str = "refuse",
        cache_mib: int = 256,
        part: Part | None = None,
    ) -> None:
        if on_error not in ("refuse", "skip"):
            raise ValueError(f"on_error={on_error!r} is unknown; use refuse or skip")
        self.files, self.paths, self.size = files, dict(paths), size
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
            judge(self.notes)
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
        judge(self.notes)
        self.seen.update(now)

    def fits(self, count: int) -> bool:
        return count * self.size**2 * 3 <= self.cache

    def doubtful(self, name: str) -> bool:
        try:
            return not seems_whole(*self.files.ends(self.paths[name]))
        except OSError:
            return True

    def decoded(self, name: str) -> np.ndarray:
        image = decode(self.files.read(self.paths[name]))
        if image.info:
            self.notes[name] = dict(image.info)
        return square(self.part(image) if self.part else image, self.size, self.fit)

    def shape(self, name: str) -> tuple[int, int]:
        image = decode(self.files.read(self.paths[name]))
        return (self.part(image) if self.part else image).size

    def attempt(self, name: str) -> np.ndarray | str:
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
        return f"{len(bad)} of {count} images cannot be read: {', '.join(bad.values())}"

    def refuse(self, bad: Mapping[str, str], count: int) -> None:
        raise ValueError(
            f"{self.told(bad, count)}; repair or remove them, or use data.on_error=skip"
        )

    def array(self, index: int) -> np.ndarray:
        if (held := self.held.get(self.ids[index])) is not None:
            return held
        result = self.attempt(self.ids[index])
        if isinstance(result, str):
            raise ValueError(
                f"1 image cannot be read: {result}; repair or remove it, or use data.on_error=skip"
            )
        return result
