"""What a weights file records beside its parts: the data, and the numbers that a run compares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise, takewhile
from pathlib import PurePosixPath
from typing import Any
from unicodedata import normalize

LONGEST_SIDE = 2**15  # pixels


def check_record(config: Mapping[str, Any]) -> None:
    """ValueError for an entry that is not of its kind; what a file does not record is not asked."""
    data, found = config.get("data") or {}, config.get("validation") or {}
    if not isinstance(data, dict) or not isinstance(found, dict):
        raise ValueError("its data are no settings")
    if not all(_number(value) for value in found.values()):
        raise ValueError("its validation holds what is no number")
    names, size, ends = data.get("extra"), data.get("size"), data.get("range")
    if not (names is None or (isinstance(names, list) and all(isinstance(n, str) for n in names))):
        raise ValueError(f"its data.extra={names!r:.80} are no domains")
    for key in ("source", "target"):
        if not isinstance(data.get(key), (str, type(None))):
            raise ValueError(f"its data.{key}={data[key]!r:.80} is no domain")
    sides = size if isinstance(size, list) and len(size) == 2 else [size]
    if not (size is None or all(_count(side, LONGEST_SIDE) for side in sides)):
        raise ValueError(f"its data.size={size!r:.80} is no size")
    if not (data.get("channels") is None or _count(data["channels"], LONGEST_SIDE)):
        raise ValueError(f"its data.channels={data['channels']!r:.80} is no number of channels")
    two = isinstance(ends, list) and len(ends) == 2 and all(map(_number, ends))
    if not (ends is None or (two and ends[0] < ends[1])):
        raise ValueError(f"its data.range={ends!r:.80} is no range")
    if not isinstance(config.get("space"), (str, type(None))):
        raise ValueError(f"its space={config['space']!r:.80} is the mark of no codec")
    if not isinstance(config.get("times", {}), dict):  # a checkpoint's: how a training draws them
        _check_walk(config["times"], config.get("skip", 0.0))


def _check_walk(times: Any, skip: Any) -> None:
    """Between which times a student maps, from its start to its end, and what it takes over."""
    numbers = isinstance(times, list) and len(times) > 1 and all(map(_number, times))
    if not numbers or any(s >= t for t, s in pairwise(times)):
        raise ValueError(f"its times={times!r:.80} do not fall from a start to an end")
    if not _number(skip) or not 0 <= skip < 1:
        raise ValueError(f"its skip={skip!r:.80} is no share")


def _number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < 1e300 and math.isfinite(value)


def _count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def short(domain: object) -> str:
    """A domain's own name, wherever its folder or zip lies."""
    path = PurePosixPath(normalize("NFC", str(domain)))
    return path.stem if path.suffix.lower() == ".zip" else path.name


def paths_of(record: Mapping[str, Any]) -> list[Any]:
    """A file's domains as its training was given them: source, extra ..., target."""
    data = record.get("data") or {}
    return [data.get("source"), *(data.get("extra") or ()), data.get("target")]


def domains_of(record: Mapping[str, Any]) -> list[str]:
    """Their names."""
    return [short(path) for path in paths_of(record)]


def place_of(record: Mapping[str, Any], domain: object) -> int | None:
    """Which of a file's domains a domain is, by the end of its path: cats/images is not
    dogs/images. None where it is none of them, or may be two."""
    shared = [_shared(domain, path) for path in paths_of(record)]
    most = max(shared)
    return shared.index(most) if most and shared.count(most) == 1 else None


def _shared(one: object, other: object) -> int:
    """How many parts two paths share, from the end."""
    if one is None or other is None:
        return 0
    paths = [PurePosixPath(normalize("NFC", str(path))) for path in (one, other)]
    ends = [(short(path), *path.parts[-2::-1]) for path in paths]
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))))


def class_of(record: Mapping[str, Any], domain: object) -> int:
    """Which of a classifier's classes a domain is; -1, its target, where that is not known."""
    place = place_of(record, domain)
    return -1 if place is None else place
