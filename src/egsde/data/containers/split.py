"""Splits of undivided series: the slices of one never fall into two of them."""

from __future__ import annotations

from collections.abc import Iterable

from egsde.data.containers.names import is_slice, place_of
from egsde.data.domains import hash_split


def of_series(name: str) -> str:
    """train, val or test of an image: by its own name, or by its container's."""
    return hash_split(place_of(name)[0] if is_slice(name) else name)


def whole_series(names: Iterable[str]) -> bool:
    """Whether all images are slices of one container."""
    names = list(names)
    return all(map(is_slice, names)) and len({place_of(name)[0] for name in names}) == 1
