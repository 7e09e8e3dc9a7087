"""Domains made of image files: layouts on disk, splits, unreadable files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from egsde.data.domains import hash_split
from egsde.data.files import Files, open_files
from egsde.data.images import UnreadableImage, decode, seems_whole, square

SPLITS = ("train", "val", "test")
STAND_IN = {"val": "test", "test": "val"}  # where a data set has only one of the two
Part = Callable[[Image.Image], Image.Image]


class FileImages:
    """Images decoded from files; unreadable ones are refused or skipped, by name, never silently.

    on_error "refuse" raises ValueError; "skip" leaves the bad files out with a warning. Files whose
    ends look wrong are decoded before anything else; all are where they fit into `cache_mib` (they
    are then kept) and with "skip", so that the ids are the same in every process.
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
        self.fit, self.part = fit, part
        self.ids = list(paths)
        self.held: list[np.ndarray] | None = None
        keep = len(self.ids) * size * size * 3 <= cache_mib * 2**20
        every = keep or on_error == "skip"
        self.check([n for n in self.ids if every or self.doubtful(n)], keep=keep, on_error=on_error)

    def doubtful(self, name: str) -> bool:
        try:
            return not seems_whole(*self.files.ends(self.paths[name]))
        except OSError:
            return True

    def decoded(self, name: str) -> np.ndarray:
        image = decode(self.files.read(self.paths[name]))
        return square(self.part(image) if self.part else image, self.size, self.fit)

    def attempt(self, name: str) -> np.ndarray | str:
        try:
            return self.decoded(name)
        except (UnreadableImage, OSError) as error:
            return f"{name} ({error})"

    def check(self, names: Sequence[str], *, keep: bool, on_error: str) -> None:
        """Decode some files once; keep the pictures, or only learn which are bad."""
        held: list[np.ndarray] = []
        bad: dict[str, str] = {}
        with ThreadPoolExecutor() as pool:
            for name, result in zip(names, pool.map(self.attempt, names), strict=True):
                if isinstance(result, str):
                    bad[name] = result
                elif keep:
                    held.append(result)
        if bad:
            what = f"{len(bad)} of {len(self.ids)} images cannot be read: {', '.join(bad.values())}"
            if on_error == "refuse" or len(bad) == len(self.ids):
                raise ValueError(f"{what}; repair or remove them, or use data.on_error=skip")
            warnings.warn(f"{what}; skipped", stacklevel=2)
            self.ids = [name for name in self.ids if name not in bad]
        self.held = held if keep else None

    def array(self, index: int) -> np.ndarray:
        if self.held is not None:
            return self.held[index]
        result = self.attempt(self.ids[index])
        if isinstance(result, str):
            raise ValueError(
                f"1 image cannot be read: {result}; repair or remove it, or use data.on_error=skip"
            )
        return result


class Folders:
    """Store of domains found by path patterns below a root (folder or zip).

    layouts: patterns with {domain}, or {alias} for its entry of `aliases`, and {split}; the first
    that finds images counts. A pattern without {split} is one pool, divided 80/10/10 by a hash of
    the id. Where only one of val and test exists it serves as both. Split "all" is everything.
    Without a root, domains are paths themselves.
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
    ) -> None:
        self.root, self.layouts, self.aliases = root, list(layouts), dict(aliases or {})
        self.expected, self.page = expected, page
        self.options = {"fit": fit, "on_error": on_error, "cache_mib": cache_mib}

    def places(self, domain: str) -> tuple[Files, dict[str, dict[str, str]]] | None:
        """Files and, by split, their paths by id, under the first layout that has images."""
        base = domain if self.root is None else self.root
        files = open_files(base)
        if files is None:
            return None
        prefixes = ["", *(f"{top}/" for top in files.tops()[:2])]
        for layout in self.layouts:
            for prefix in prefixes[: 2 if len(prefixes) == 2 else 1]:  # one folder holds all
                found = self.found(files, prefix + layout, domain)
                if found:
                    return files, found
        return None

    def found(self, files: Files, layout: str, domain: str) -> dict[str, dict[str, str]]:
        """Paths by id by split under one layout; {} where it does not fit."""
        result: dict[str, dict[str, str]] = {}
        for split in SPLITS if "{split}" in layout else ("pool",):
            inner = "" if self.root is None else domain
            alias = self.aliases.get(domain, domain)
            folder = layout.format(split=split, domain=inner, alias=alias)
            folder = "/".join(part for part in folder.split("/") if part)
            names = files.under(folder)
            if names:
                result[split] = {name: f"{folder}/{name}".lstrip("/") for name in names}
        return result

    def paths(self, domain: str, split: str) -> tuple[Files, dict[str, str]]:
        """Files and paths by id of one split; raises ValueError that names the expected layout."""
        if split not in (*SPLITS, "all"):
            raise ValueError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}, all")
        found = self.places(domain)
        if found is None:
            raise ValueError(self.missing(domain, "any split"))
        files, splits = found
        if split == "all":
            several = len(splits) > 1
            return files, {
                f"{s}/{n}" if several else n: p for s, ps in splits.items() for n, p in ps.items()
            }
        pool = splits.get("pool") or (splits.get("train") if len(splits) == 1 else None)
        if pool:
            chosen = {n: p for n, p in pool.items() if hash_split(n) == split}
            if not chosen:
                raise ValueError(
                    f"none of the {len(pool)} undivided images of {domain!r} falls into {split}; "
                    "lay them into folders train, val, test, or choose split all"
                )
        else:
            chosen = splits.get(split) or splits.get(STAND_IN.get(split, split), {})
        if not chosen:
            raise ValueError(self.missing(domain, f"split {split}"))
        return files, chosen

    def missing(self, domain: str, what: str) -> str:
        root = Path(domain if self.root is None else self.root)
        where = f"no images of {domain!r} ({what}) under {root}"
        expected = f"; expected {self.expected}" if self.expected else ""
        page = f"; to get them see {self.page}" if self.page else ""
        return f"{where}{expected}{page}"

    def images(self, domain: str, split: str, size: int, part: Part | None = None) -> FileImages:
        """Images of one domain and split, size x size; `part` cuts the picture out of the file."""
        files, paths = self.paths(domain, split)
        return FileImages(files, paths, size, part=part, **self.options)  # type: ignore[arg-type]
