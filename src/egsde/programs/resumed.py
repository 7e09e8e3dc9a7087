"""Is this the run that the folder holds? Values are compared, not how they are spelt."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

PATHS = ("data.source", "data.target", "data.extra", "data.mask", "data.low")
NETWORK = ".weights"  # and of files of networks, most of them called alike, the last two


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], free: Iterable[str] = (),
    given: Iterable[str] = (),
) -> list[str]:  # fmt: skip
    """ "key was A, is B" for each value of a configuration that differs.

    free: keys, or beginnings of keys, that may differ. given: keys that this command sets itself.
    An option that only one of the two has is that of another version, unless it is given or
    belongs to a part (`_target_`) that only one has. Of paths the last names count, so many as
    tell a run's paths apart: data and networks may have moved; or where they lead is one, as
    through a link.
    """
    old, new, chosen = flat(before), flat(now), set(given)
    depth = _depth(old)
    alone = old.keys() ^ new.keys()
    parts = [key.removesuffix("_target_") for key in alone if key.endswith("_target_")]
    found = []
    for key in sorted(old.keys() | new.keys()):
        if any(key == name or key.startswith(f"{name}.") for name in free):
            continue
        a, b = plain(key, old.get(key), depth), plain(key, new.get(key), depth)
        meant = key in chosen or any(key.startswith(part) for part in parts)
        if a != b and (meant or key not in alone) and not _one_place(key, old, new):
            found.append(f"{key} was {old.get(key)}, is {new.get(key)}")
    return found


def _one_place(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if not _is_path(key) and not key.endswith(NETWORK):
        return False
    with contextlib.suppress(OSError):
        return os.path.samefile(*(os.path.expanduser(str(c.get(key))) for c in (old, new)))
    return False


def _depth(config: Mapping[str, Any]) -> int:
    """How many names from the end tell the paths apart: 2 of cats/images and dogs/images."""
    paths = {p.parts for k, v in config.items() if _is_path(k) for p in _paths(v)}
    deepest = max(map(len, paths), default=1)
    ends = (k for k in range(1, deepest) if len({p[-k:] for p in paths}) == len(paths))
    return next(ends, deepest)


def _is_path(key: str) -> bool:
    return key.removeprefix("config.") in PATHS  # or in a run.json


def _paths(value: Any) -> list[PurePath]:
    values = value if isinstance(value, list) else [value]
    return [PurePath(str(path)) for path in values if path is not None]


def plain(key: str, value: Any, depth: int = 1) -> Any:
    """A value as it is compared: numbers as numbers, of paths the last names."""
    if _is_path(key) and value is not None:
        return [path.parts[-depth:] for path in _paths(value)]
    if key.endswith(NETWORK) and isinstance(value, str):
        return PurePath(value).parts[-2:]
    if key.endswith("_target_"):
        return str(value).rpartition(".")[2]  # modules may have moved, too
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain("", item) for item in value]
    return value


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """{"a.b": value} of a nested configuration; lists are values."""
    if not isinstance(node, Mapping):
        return {prefix: node}
    items = [flat(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in node.items()]
    return {k: v for item in items for k, v in item.items()}
