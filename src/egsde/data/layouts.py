"""Where the pictures of a domain lie: path patterns, matched against the folders that are there.

Nothing is left out without a word: folders that look like a split and are none, pictures beside
the splits, files of other kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from unicodedata import normalize

from egsde.data.containers.names import is_slice, place_of
from egsde.data.files import Files
from egsde.data.images import is_image_name
from egsde.data.splits import CYCLEGAN, looks_like_split, split_of

Paths = dict[str, str]  # by id


@dataclass(frozen=True)
class Found:
    """Paths by id by split ("pool" where undivided), and what was seen and is not used."""

    splits: dict[str, Paths]
    unused: list[str] = field(default_factory=list)


def find(files: Files, layouts: Sequence[str], domain: str, alias: str) -> Found | None:
    """The first layout that has images; what wraps everything in single folders is gone through.

    ValueError where two folders claim one split, or splits lie deeper than a layout has them.
    """
    for layout in layouts:
        for prefix in wrappers(files):
            pattern = layout.replace("{domain}", domain).replace("{alias}", alias)
            parts = [part for part in (prefix + pattern).split("/") if part not in ("", ".")]
            found = divided(files, parts) if "{split}" in pattern else pool(files, parts)
            if found is not None:
                return found
    return None


def wrappers(files: Files) -> Iterator[str]:
    """ "", then a/, a/b/, ... as long as a level holds one folder and no picture."""
    prefix = ""
    yield prefix
    for _ in range(8):
        folders = files.folders(prefix)
        if len(folders) != 1 or files.under(prefix, deep=False):
            return
        prefix += f"{folders[0]}/"
        yield prefix


def pool(files: Files, parts: list[str]) -> Found | None:
    """All pictures below one folder; ValueError where they are divided further down."""
    folder = "/".join(parts)
    names = files.under(folder)
    if not names:
        return None
    files_of = {place_of(name)[0] if is_slice(name) else name for name in names}
    folders = {name.rpartition("/")[0] for name in files_of} - {""}
    inner = sorted({str(p) for f in folders for p in (PurePosixPath(f), *PurePosixPath(f).parents)})
    inner = [path for path in inner if path != "."]
    last = {path: path.rsplit("/", 1)[-1] for path in inner}
    if cyclegan := [path for path in inner if CYCLEGAN.match(last[path].casefold())]:
        raise ValueError(
            f"{files.name(folder)} holds {', '.join(cyclegan)}, the layout of CycleGAN's data: "
            f"use data=horse2zebra data.root={files.name(folder)}"
        )
    if deeper := [path for path in inner if split_of(last[path])]:
        raise ValueError(
            f"{files.name(folder)} is no undivided folder: {', '.join(deeper[:4])} in it are named "
            "like splits, whose images would be mixed; name the folder that holds the splits, or "
            "rename them"
        )
    odd = [path for path in inner if looks_like_split(last[path])]
    notes = [
        f"{path} looks like a split and is none (train, val, test are); its images are divided "
        "with the others"
        for path in odd
    ]
    return Found({"pool": by_id(names, folder)}, notes + others(files, [folder]))


def divided(files: Files, parts: list[str]) -> Found | None:
    """Pictures in folders that are named like splits. ValueError where two of them mean one
    split."""
    place = next(i for i, part in enumerate(parts) if "{split}" in part)
    parent, tail = "/".join(parts[:place]), "/".join(parts[place + 1 :])
    before, after = parts[place].split("{split}")
    splits: dict[str, Paths] = {}
    homes: dict[str, str] = {}
    for name in files.folders(parent):
        middle = name[len(before) : len(name) - len(after)]
        fits = name.startswith(before) and name.endswith(after) and name != before + after
        split = split_of(middle) if fits else None
        folder = joined(parent, name, tail)
        if split is None or not (names := files.under(folder)):
            continue
        if split in splits:
            raise ValueError(
                f"{homes[split]} and {folder} in {files.name('')} are both a folder of the split "
                f"{split}; leave one of them"
            )
        splits[split], homes[split] = by_id(names, folder), folder
    if not splits:
        return None
    return Found(splits, [*beside(files, parts, splits), *others(files, list(homes.values()))])


def beside(files: Files, parts: list[str], splits: Mapping[str, Paths]) -> list[str]:
    """What lies next to the splits and is in none of them."""
    place = next(i for i, part in enumerate(parts) if "{split}" in part)
    parent, tail = "/".join(parts[:place]), "/".join(parts[place + 1 :])
    held = {path for paths in splits.values() for path in paths.values()}
    used = {path[len(parent) :].lstrip("/").split("/")[0] for path in held}
    if parts[place] == "{split}" and not tail:
        loose = {joined(parent, name) for name in files.under(parent)} - held
    else:
        loose = {joined(parent, n) for n in files.under(parent, deep=False)}
        rest = [name for name in files.folders(parent) if name not in used]
        if parts[place] == "{split}":
            inside = [(joined(parent, name, tail), True) for name in rest]
            inside += [(joined(parent, name), False) for name in used]
            loose |= {joined(f, n) for f, deep in inside for n in files.under(f, deep)}
    notes = []
    if loose:
        names = sorted(loose)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        notes.append(f"{len(names)} pictures lie in no split and are not used: {shown}")
    notes += [
        f"the folder {name} looks like a split and is not used"
        for name in files.folders(parent)
        if name not in used and looks_like_split(name) and parts[place] == "{split}"
    ]
    return notes


def others(files: Files, folders: Sequence[str]) -> list[str]:
    """Files that are no pictures, counted by suffix."""
    names = [n for folder in folders for n in files.listing(folder) if not is_image_name(n)]
    count = Counter(PurePosixPath(name).suffix.lower() or "without suffix" for name in names)
    if not names:
        return []
    shown = ", ".join(f"{n} {suffix}" for suffix, n in sorted(count.items()))
    return [f"{len(names)} files are no pictures that can be read ({shown})"]


def by_id(names: Sequence[str], folder: str) -> Paths:
    """Paths by id: the name in Unicode's form NFC; ValueError where two become one, or
    one is not UTF-8."""
    paths: Paths = {}
    for name in names:
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(
                f"the name of a file in {folder or 'the folder'} is not UTF-8 "
                f"({name.encode('utf-8', 'backslashreplace').decode()}); rename it"
            )
        if (identity := normalize("NFC", name)) in paths:
            raise ValueError(
                f"two files in {folder or 'the folder'} are called {identity} and differ only in "
                "how the accents are stored (Unicode form); leave one of them"
            )
        paths[identity] = joined(folder, name)
    return paths


def joined(*parts: str) -> str:
    """A path of these parts, empty ones left out."""
    return "/".join(part for part in parts if part)
