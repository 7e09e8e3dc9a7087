"""Packages that only some work needs, each brought by an extra of this one."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(package: str, extra: str, what: str) -> Any:
    """The package, imported; ValueError names the extra that brings it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ValueError(
            f"{what} needs the package {package}, which is not installed: "
            f"pip install 'egsde[{extra}]'"
        ) from error
