"""Two domains must be two: not one folder by two paths, one inside the other, or copies."""

from __future__ import annotations

import warnings
from collections.abc import Hashable

from egsde.data.domains import spread
from egsde.data.files import Files
from egsde.data.layouts import Found

LOOKED_AT = 64  # so many files of a domain are compared byte by byte
Listed = tuple[Files, dict[Hashable, str], dict[int, list[str]]]


def listed(files: Files, found: Found) -> Listed:
    """Files, paths by what the file is, and paths by size."""
    by_file: dict[Hashable, str] = {}
    by_size: dict[int, list[str]] = {}
    for path in (path for paths in found.splits.values() for path in paths.values()):
        try:
            file, size = files.size(path)
        except OSError:  # a link that leads nowhere: named when it is read
            continue
        by_file[file] = path
        by_size.setdefault(size, []).append(path)
    return files, by_file, by_size


def refuse_alike(one: str, other: str, a: Listed, b: Listed) -> None:
    """ValueError where the domains share files, or where every file of one is copied in the other.

    Some copies are said.
    """
    both = [a[1][file] for file in a[1] if file in b[1]]
    if both:
        whole = len(both) == len(a[1]) == len(b[1])
        how = "are the same folder" if whole else f"overlap in {len(both)} files, one in the other"
        raise ValueError(
            f"the domains {one!r} and {other!r} {how} ({both[0]}); choose two folders that share "
            "no file"
        )
    few, many = (a, b) if len(a[1]) <= len(b[1]) else (b, a)
    paths = sorted(few[1].values())
    chosen = [paths[i] for i in spread(len(paths), LOOKED_AT)]
    copied = [path for path in chosen if _copied(path, few[0], many)]
    if not copied:
        return
    what = f"of {len(chosen)} files of one of the domains {one!r} and {other!r}, {len(copied)} are"
    if len(copied) == len(chosen) and len(a[1]) == len(b[1]):
        raise ValueError(f"{what} copies of the other's ({copied[0]}); choose two domains")
    warnings.warn(f"{what} copies of the other's ({', '.join(copied[:3])})", stacklevel=3)


def _copied(path: str, files: Files, others: Listed) -> bool:
    try:
        same = others[2].get(files.size(path)[1], ())[:LOOKED_AT]
        return any(others[0].read(other) == files.read(path) for other in same) if same else False
    except OSError:
        return False
