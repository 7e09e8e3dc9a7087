"""What translates with a weights file alone, by its kind, and between which domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egsde.programs.line import quoted

# kind of a weights file: what translates with it, and its place in the configuration
ALONE = {
    "score": ("translator=sdedit", "energy=none", "score=trained"),
    "conditional": ("translator=paired", "score=conditional"),
    "labelled": ("translator=sdedit", "energy=none", "score=trained"),
    "lsgm": ("translator=sdedit", "energy=none", "score=lsgm"),
    "cycle": ("translator=paired", "score=cycle"),
    "student": ("translator=student",),
    "generator": ("translator=cyclegan",),
    "ddgan": ("translator=ddgan",),
    "flow": ("translator=flow_matching",),
    "bridge": ("translator=i2sb",),
    "dsbm": ("translator=dsbm",),
    "unsb": ("translator=unsb",),
    "conditional_bridge": ("translator=ddbm",),
}
# Kinds whose file is translator.weights; that of the others is score.weights.
WHOLE = {"generator", "ddgan", "flow", "bridge", "dsbm", "unsb", "conditional_bridge"}
# Kinds whose steps draw noise that is part of their law: no graph without noise is theirs.
DRAWN = {"bridge", "dsbm", "unsb", "conditional_bridge", "ddgan"}


def domains(record: Mapping[str, Any]) -> list[str]:
    """The settings that name a file's own domains; where it names none, what no folder is called,
    lest it be one that another file knows."""
    found = ["data=folder"]
    for key in ("source", "target"):
        name = (record.get("data") or {}).get(key)
        plain = isinstance(name, str) and name.strip() and name.isprintable() and "$" not in name
        found.append(f"data.{key}={quoted(name if plain else f'its {key}')}")
    return found
