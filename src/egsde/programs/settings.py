"""The configuration as a reader sees it: its groups, what each is for, and who takes them.

Read from the files of conf alone, so help and documentation answer without composing anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"
LINE = re.compile(
    r"^(?P<indent> *)(?P<key>[\w.@/]+):(?: (?P<value>[^#]*?))?(?: *# ?(?P<told>.*))?$"
)


@dataclass(frozen=True)
class Setting:
    """A line of a file that has a comment: its key, its value, what the comment tells."""

    key: str
    value: str
    told: str


def purposes() -> dict[str, str]:
    """What each group is for, of conf/groups.yaml."""
    return _read(CONF / "groups.yaml")


def _read(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}


def options(group: str, program: str = "") -> list[str]:
    """The names that a group can be given; those that begin with _ are parts of others."""
    places = [CONF / group, CONF / "programs" / program / group]
    files = {file.stem for place in places for file in place.glob("*.yaml")}
    return sorted(name for name in files if not name.startswith("_"))


def head(path: Path) -> str:
    """The comment above a file's first key, without the line about its package."""
    found = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if "@package" not in line:
            found.append(line.lstrip("#").removeprefix(" ").rstrip())
    return "\n".join(found)


def told(path: Path) -> list[Setting]:
    """The settings of a file that have a comment, by their whole keys."""
    found, above = [], []  # type: ignore[var-annotated]
    for line in path.read_text().splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        above = [(depth, key) for depth, key in above if depth < len(match["indent"])]
        above.append((len(match["indent"]), match["key"]))
        if match["told"]:
            key = ".".join(key for _, key in above)
            found.append(Setting(key, (match["value"] or "").strip(), match["told"].strip()))
    return found


def defaults(path: Path) -> Iterator[str]:
    """The groups that a file's list of defaults adds, as written: "/sampler@callbacks.x"."""
    for entry in _read(path).get("defaults", []):
        for name in entry if isinstance(entry, dict) else ():
            if not name.startswith("override "):
                yield name.removeprefix("optional ")


def groups_of(program: str) -> list[str]:
    """Every group that a program takes, directly or through an option of another, in order."""
    found: dict[str, None] = {}
    waiting = [("", CONF / f"{program}.yaml")]
    while waiting:
        inside, path = waiting.pop(0)
        for name in defaults(path):
            group = name.split("@")[0]
            group = group[1:] if group.startswith("/") else f"{inside}{group}"
            if group in found:
                continue
            found[group] = None
            places = [CONF / group, CONF / "programs" / program / group]
            waiting += [(f"{group}/", file) for p in places for file in sorted(p.glob("*.yaml"))]
    return list(found)
