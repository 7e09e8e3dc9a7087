"""Domains made of image files: layouts on disk, splits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from egsde.data.containers import Slices, opened_files
from egsde.data.containers.base import cut_of
from egsde.data.containers.split import of_series, whole_series
from egsde.data.distinct import Listed, refuse_alike
from egsde.data.file_images import FileImages, Part
from egsde.data.files import open_files
from egsde.data.fits import Size
from egsde.data.layouts import Found, find
from egsde.data.meant import elsewhere
from egsde.data.rasters import range_of
from egsde.data.splits import CYCLEGAN, SPLITS

__all__ = ["FileImages", "Folders", "Part"]

STAND_IN = {"val": "test", "test": "val"}  # where a data set has only one of the two


class Folders:
    """Store of domains found by path patterns below a root (folder or zip).

    layouts: patterns with {domain}, or {alias} for its entry of `aliases`, and {split}; the first
    that finds images counts. A pattern without {split} is one pool, divided 80/10/10 by a hash of
    the id, and so is a domain that has train only. Where only one of val and test exists, or has
    images of a pool, it serves as both; each of these is said. Split "all" is everything. Without
    a root, domains are paths.
    """

    paired = False
    drawable = True

    def __init__(
        self,
        root: str | None = None,
        layouts: Sequence[str] = ("{domain}/{split}", "{split}/{domain}", "{domain}"),
        aliases: Mapping[str, str] | None = None,
        expected: str = "",
        page: str = "",
        fit: str = "crop",
        on_error: str = "refuse",
        cache_mib: int = 256,
        channels: int = 3,
        range: Sequence[float] | None = None,
        axis: int | None = None,
        slices: Sequence[int] | None = None,
    ) -> None:
        self.root, self.layouts, self.aliases = root, list(layouts), dict(aliases or {})
        self.expected, self.page = expected, page
        self.opened: dict[str, tuple[Slices, Found] | None] = {}
        self.said: set[tuple[str, str]] = set()
        self.options: dict[str, Any] = {"fit": fit, "on_error": on_error, "cache_mib": cache_mib}
        self.cut = cut_of(axis, slices, channels)
        self.options |= {"channels": channels, "scale": range_of(range)}

    def places(self, domain: str) -> tuple[Slices, Found] | None:
        """Files and what was found of a domain under the first layout that has images."""
        if domain not in self.opened:
            self.opened[domain] = self._places(domain)
        return self.opened[domain]

    def _places(self, domain: str) -> tuple[Slices, Found] | None:
        if not str(domain or "").strip() or (self.root is not None and not str(self.root).strip()):
            key = "data.root" if str(domain or "").strip() else "a domain"
            raise ValueError(
                f"{key} is an empty path; was it a shell variable that is not set? Name a folder"
            )
        files = opened_files(domain if self.root is None else self.root, self.cut)
        if files is None:
            return None
        alias = self.aliases.get(domain, domain)
        found = find(files, self.layouts, "" if self.root is None else domain, alias)
        if found is None:
            return None
        if found.unused:
            warnings.warn(f"{domain}: {'; '.join(found.unused)}", stacklevel=2)
        return files, found

    def paths(self, domain: str, split: str) -> tuple[Slices, dict[str, str]]:
        """Files and paths by id of one split; raises ValueError that names the expected layout."""
        if split not in (*SPLITS, "all"):
            raise ValueError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}, all")
        place = self.places(domain)
        if place is None:
            raise ValueError(self.missing(domain, "any split"))
        files, splits = place[0], place[1].splits
        if split == "all":
            several = len(splits) > 1
            return files, {
                f"{s}/{n}" if several else n: p for s, ps in splits.items() for n, p in ps.items()
            }
        only_train = list(splits) == ["train"]
        if pool := splits.get("pool") or (splits["train"] if only_train else None):
            if only_train:
                self.say(domain, "train is its only split; it is divided 80/10/10 by file name")
            if whole_series(pool):
                self.say(domain, "it is one series, which is never cut: it serves as every split")
                return files, pool
            fallen = {n: of_series(n) for n in pool}
            other = STAND_IN.get(split, split)
            if split not in fallen.values() and other in fallen.values():
                what = f"none of its {len(pool)} undivided images falls into {split}"
                self.say(domain, f"{what}; those of {other} serve as both")
                split = other
            chosen = {n: p for n, p in pool.items() if fallen[n] == split}
            if not chosen:
                raise ValueError(
                    f"none of the {len(pool)} undivided images of {domain!r} falls into {split}; "
                    "lay them into folders train, val, test, or choose split all"
                )
            return files, chosen
        other = STAND_IN.get(split, split)
        if split not in splits and other in splits:
            self.say(domain, f"there is no split {split}; the images of {other} serve as both")
        chosen = splits.get(split) or splits.get(other, {})
        if not chosen:
            raise ValueError(self.missing(domain, f"split {split}"))
        return files, chosen

    def say(self, domain: str, what: str) -> None:
        """Warn, once for each domain."""
        if (domain, what) not in self.said:
            self.said.add((domain, what))
            warnings.warn(f"{domain}: {what}", stacklevel=3)

    def missing(self, domain: str, what: str) -> str:
        root = Path(domain if self.root is None else self.root)
        there = f"no images of {domain!r} ({what}) under {root}"
        files = open_files(root)
        if files is None:
            there += ", which does not exist" + elsewhere(domain)
        elif names := [name for name in files.folders() if CYCLEGAN.match(name.casefold())]:
            there += (
                f"; its {', '.join(names)} are the layout of CycleGAN's data sets, which "
                f"data=horse2zebra data.root={root} reads"
            )
        elif names := files.folders():
            there += f"; there are the folders {', '.join(names[:8])}"
        expected = f"; expected {self.expected}" if self.expected else ""
        page = f"; to get them see {self.page}" if self.page else ""
        return f"{there}{expected}{page}"

    def refuse_alike(self, domains: Sequence[str]) -> None:
        """ValueError where two domains hold the same files; see distinct.py."""
        places = {domain: self.places(domain) for domain in domains}
        known = {domain: Listed(*place) for domain, place in places.items() if place is not None}
        for one, other in combinations(known, 2):
            refuse_alike(one, other, known[one], known[other])

    def settle(self, ends: Sequence[float]) -> None:
        """The range of the pixels, where it is known only later."""
        self.options["scale"] = range_of(ends)

    def images(self, domain: str, split: str, size: Size) -> FileImages:
        """Images of one domain and split, of one size, looked at."""
        found = self.unseen(domain, split, size)
        every = range(len(found.ids))
        found.look(every, every)
        return found

    def unseen(self, domain: str, split: str, size: Size, part: Part | None = None) -> FileImages:
        """The same, of which nothing is opened before `look`; `part` cuts pictures out of files."""
        files, paths = self.paths(domain, split)
        return FileImages(files, paths, size, part=part, **self.options)
