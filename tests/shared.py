"""Recorded numbers that do not live in the repository: `../shared`, or the folder EGSDE_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("EGSDE_SHARED", Path(__file__).parents[2] / "shared"))


def shared_path(name: str) -> Path:
    """The recorded file or folder of that name; the calling test is skipped where it is absent."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not here (set EGSDE_SHARED to the folder that holds it)")
    return path
