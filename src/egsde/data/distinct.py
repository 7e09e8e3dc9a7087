"""Two domains must be two: not one folder by two paths, one inside the other, or copies.

The first process looks, once. Of few files each one's identity and size are asked for; of many,
which takes minutes on a network's disk, their paths alone, and files of one name are compared.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable, Sequence
from functools import cached_property

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.data.domains import spread
from egsde.data.files import Files
from egsde.data.layouts import Found

LOOKED_AT = 64  # so many files of a domain are compared byte by byte
MANY = 10_000  # files of both domains above which not each is asked for its size


class Listed:
    """The files of a domain; what is asked of the disk is asked when it is needed, and once."""

    def __init__(self, files: Files, found: Found) -> None:
        self.files = files
        self.paths = [path for paths in found.splits.values() for path in paths.values()]
        self.asked: dict[str, tuple[Hashable, int]] = {}

    def size(self, path: str) -> tuple[Hashable, int]:
        """What a file is, and its bytes; -1 for a link that leads nowhere."""
        if path not in self.asked:
            try:
                self.asked[path] = self.files.size(path)
            except OSError:
                self.asked[path] = (path, -1)
        return self.asked[path]

    @cached_property
    def known(self) -> dict[str, tuple[Hashable, int]]:
        """`size` of all files that are there."""
        return {path: self.size(path) for path in self.paths if self.size(path)[1] >= 0}

    def identities(self, many: bool) -> dict[Hashable, str]:
        """Paths by what the file is, whatever it is called; of many by where it really lies."""
        if not many:
            return {file: path for path, (file, _) in self.known.items()}
        root = os.path.realpath(self.files.name(""))
        return {f"{root}/{path}": path for path in self.paths}

    def alike(self, many: bool) -> dict[Hashable, list[str]]:
        """Paths by size, of many by name: what may be a copy."""
        found: dict[Hashable, list[str]] = {}
        for path in self.paths if many else self.known:
            found.setdefault(self.trait(path, many), []).append(path)
        return found

    def trait(self, path: str, many: bool) -> Hashable:
        """What copies have in common: of many files the name, else the size."""
        return path.rsplit("/", 1)[-1] if many else self.known.get(path, (None, -1))[1]


def refuse_alike(one: str, other: str, a: Listed, b: Listed) -> None:
    """ValueError where the domains share files, or where every file of one is copied in the other.

    Some copies are said.
    """
    if getattr(rank_zero_only, "rank", 0):
        return
    many = len(a.paths) + len(b.paths) > MANY
    mine, theirs = a.identities(many), b.identities(many)
    both = [mine[file] for file in mine if file in theirs]
    if both:
        whole = len(both) == len(mine) == len(theirs)
        how = "are the same folder" if whole else f"overlap in {len(both)} files, one in the other"
        raise ValueError(
            f"the domains {one!r} and {other!r} {how} ({both[0]}); choose two folders that share "
            "no file"
        )
    few, more = (a, b) if len(a.paths) <= len(b.paths) else (b, a)
    paths = sorted(few.paths if many else few.known)
    chosen = [paths[i] for i in spread(len(paths), LOOKED_AT)]
    candidates = more.alike(many)
    copied = [p for p in chosen if _copied(p, few, more, candidates.get(few.trait(p, many), ()))]
    if not copied:
        return
    what = f"of {len(chosen)} files of one of the domains {one!r} and {other!r}, {len(copied)} are"
    if len(copied) == len(chosen) and len(mine) == len(theirs):
        raise ValueError(f"{what} copies of the other's ({copied[0]}); choose two domains")
    warnings.warn(f"{what} copies of the other's ({', '.join(copied[:3])})", stacklevel=3)


def _copied(path: str, few: Listed, more: Listed, candidates: Sequence[str]) -> bool:
    if not candidates:
        return False
    try:
        size = few.size(path)[1]
        same = [other for other in candidates[:LOOKED_AT] if more.size(other)[1] == size]
        return any(more.files.read(other) == few.files.read(path) for other in same)
    except OSError:
        return False
