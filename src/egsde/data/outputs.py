"""How translations are named after their sources: `a/0412.jpg` gives `a/0412.png`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from egsde.data.domains import ALIKE, output_name, stem


def output_names(ids: Iterable[str]) -> dict[str, str]:
    """Path of the PNG made from each image of a set, by id; no two share one.

    Where images differ in their suffix only, or a name has two suffixes of pictures, the whole
    name is kept (`0412.jpg.png`), as `output_name` has it.
    """
    ids = list(ids)
    count = Counter(map(stem, ids))
    return {name: _plain(name) if count[stem(name)] == 1 else output_name(name) for name in ids}


def _plain(name: str) -> str:
    if name.lower().endswith(ALIKE):
        return name
    short = stem(name)
    return f"{short}.png" if stem(short) == short else output_name(name)
