"""Which file of one folder belongs to which image of another: by names, never by order.

The name is the source's without suffix: `0412.jpg` pairs with `0412.png`, `0412.jpg.png` and
`0412_fake.png`; other names by a pattern, `{id}_fake_B.png`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from egsde.data.domains import stem

ENDINGS = ("_fake",)  # what other systems add to a source's name
FEW = 50  # files that are looked at for a hint


def paired(
    sources: Sequence[str], files: Sequence[str], what: str, pattern: str | None = None,
    endings: Sequence[str] = ENDINGS,
) -> dict[str, str]:  # fmt: skip
    """The file of each source; sources without one are left out.

    files: relative paths; a folder that holds all of either counts for nothing. what: the folder,
    for messages. pattern: of the names of files, with {id} for the source's name without suffix;
    files of other names are then not looked at.
    ValueError names files that belong to no source, and several that belong to one.
    """
    wanted: dict[str, str] = {}
    inner = _wrapper(sources, files)
    for name in sources:
        for key in dict.fromkeys((*_keys(name), *_keys(name[inner:]))):
            if (other := wanted.setdefault(key, name)) != name and key == stem(name):
                raise ValueError(
                    f"the sources {other} and {name} differ only in their suffix, so which of "
                    f"{what} belongs to which cannot be told; remove or rename one"
                )
    matched: dict[str, list[str]] = {}
    alone = []
    wrapped = 0 if pattern and "/" in pattern else _wrapper(files, sources)
    for file in files:
        bare = file[wrapped:]
        named = _by_pattern(bare, pattern) if pattern else _plain(bare, wanted, endings)
        if named is None:
            continue
        owner = wanted.get(named)
        if owner is None:
            alone.append(file)
        else:
            matched.setdefault(owner, []).append(file)
    if pattern and files and not matched and not alone:
        raise ValueError(
            f"pattern={pattern} fits none of the {len(files)} files of {what}, such as {files[0]}"
        )
    if several := {name: found for name, found in matched.items() if len(found) > 1}:
        name, found = next(iter(several.items()))
        raise ValueError(
            f"{what} has several files for {len(several)} images ({', '.join(sorted(found))} for "
            f"{name}); say which by a pattern of their names, such as {_guess(found[0], name)}"
        )
    if alone:
        fitting = (_guess(found[0], name) for name, found in matched.items())
        apart = (g for g in fitting if _by_pattern(alone[0], g[9:-1]) is None)  # leaves them out
        hint = next(apart, None) or _commonest(alone, sources)
        raise ValueError(
            f"{what} has {len(alone)} files that belong to no source ({shown(alone)}); remove "
            f"them, or say how translations are named, such as {hint}"
        )
    return {name: found[0] for name, found in matched.items()}


def refuse_missing(sources: Sequence[str], found: Iterable[str], what: str, hint: str) -> None:
    """ValueError that names the sources without a file."""
    there = set(found)
    missing = [name for name in sources if name not in there]
    if missing:
        raise ValueError(
            f"{what} has nothing for {len(missing)} of {len(sources)} sources ({shown(missing)}); "
            f"{hint}"
        )


def shown(names: Sequence[str], most: int = 3) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _keys(name: str) -> tuple[str, ...]:
    """What a translation of an image may be called, without its own suffix."""
    return stem(name), name


def _plain(file: str, wanted: dict[str, str], endings: Sequence[str]) -> str:
    keys = stem(file), stem(stem(file))  # 0412.jpg.png: of a source that was 0412.jpg, too
    every = [*keys, *(key.removesuffix(e) for key in keys for e in endings if key.endswith(e))]
    return next((key for key in every if key in wanted), keys[0])


def _by_pattern(file: str, pattern: str) -> str | None:
    """The id in a file's name; None where the name does not fit."""
    if pattern.count("{id}") != 1:
        raise ValueError(f"pattern={pattern} needs {{id}} once, such as '{{id}}_fake.png'")
    folder, _, name = file.rpartition("/") if "/" not in pattern else ("", "", file)
    before, after = map(re.escape, pattern.split("{id}"))
    way = re.compile(f"{before}(.+){after}")
    match = way.fullmatch(name) or way.fullmatch(stem(name))  # the suffix may be left out
    if match is None:
        return None
    return f"{folder}/{match[1]}" if folder else match[1]


def _wrapper(files: Sequence[str], sources: Sequence[str]) -> int:
    """The length of a folder that holds all files and no source: a zip's own, most often."""
    folder = posixpath.commonpath([file.rpartition("/")[0] for file in files]) if files else ""
    if not folder or any(name.startswith(f"{folder}/") for name in sources):
        return 0
    return len(folder) + 1


def _commonest(files: Sequence[str], sources: Sequence[str]) -> str:
    """The pattern that fits most of the files, each by the longest source's name in its own."""
    keys = sorted(sources, key=lambda name: len(stem(name)), reverse=True)
    guesses = [
        _guess(file, next((k for k in keys if _named(k) in file.rpartition("/")[2]), ""))
        for file in files[:FEW]
    ]
    return max(guesses, key=guesses.count)


def _named(source: str) -> str:
    return stem(source).rpartition("/")[2]


def _guess(file: str, source: str) -> str:
    """A pattern that would fit, where the source's name stands in the file's."""
    key, name = _named(source), file.rpartition("/")[2]
    return f"pattern='{name.replace(key, '{id}', 1)}'" if key and key in name else (
        "pattern='{id}_fake.png'"
    )  # fmt: skip
