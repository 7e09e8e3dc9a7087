"""Slices of a container as images: `scan.nii.gz/@0007.png`, of the container `scan.nii.gz`.

A slice is kept as a PNG of 8 or 16 bits, or as .npy where it holds other numbers.
"""

from __future__ import annotations

import re

SLICE = re.compile(r"^(?:(?P<container>.*)/)?@(?P<index>\d+)\.(?:png|npy)$", re.DOTALL)


def is_slice(name: str) -> bool:
    """Whether an image is a slice or frame that was cut out of a container."""
    return SLICE.match(name) is not None


def place_of(name: str) -> tuple[str, int]:
    """The container of a slice, "" where that is the root itself, and which of its slices.
    ValueError for another name."""
    found = SLICE.match(name)
    if found is None:
        raise ValueError(f"{name} is no slice; slices are called CONTAINER/@0000.png")
    return found["container"] or "", int(found["index"])


def slice_names(container: str, count: int, suffix: str) -> list[str]:
    """Names that sort as the slices lie."""
    digits = max(4, len(str(count - 1)))
    head = f"{container}/" if container else ""
    return [f"{head}@{k:0{digits}d}{suffix}" for k in range(count)]
