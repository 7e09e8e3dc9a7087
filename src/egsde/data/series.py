"""Clips and volumes, as containers or folders: what shares one noise key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from egsde.data.containers.names import is_slice
from egsde.data.domains import Images
from egsde.data.flow import Carried, Way, ways
from egsde.noise import Noise


def series_of(name: str) -> str:
    """The series of an image by its id: its folder."""
    return name.rpartition("/")[0] or "."


def in_order(names: Iterable[str]) -> list[str]:
    """As they are counted: frame2 before frame10."""
    return sorted(
        names, key=lambda name: [int(n) if n.isdecimal() else n for n in re.split(r"(\d+)", name)]
    )


def grouped(names: Iterable[str], folders: bool = False) -> dict[str, list[str]]:
    """The images of each series, in order; folders: those of folders, too, beside containers'."""
    found: dict[str, list[str]] = {}
    for name in in_order(names):
        if folders or is_slice(name):
            found.setdefault(series_of(name), []).append(name)
    return found


@dataclass(frozen=True)
class Keys:
    """What keys the noise of images. series: None, those of a container share one; true, those of
    a folder, too; false, none do; "flow": as true, and noise moves with what is seen. ValueError
    for another value."""

    series: bool | str | None = None
    known: dict[str, dict[str, Way]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.series not in (None, True, False, "flow"):
            raise ValueError(
                f"data.series={self.series!r} is unknown; use null, true, false or flow"
            )

    def __call__(self, names: Sequence[str]) -> list[str]:
        """Each its id, or all of a series the same."""
        return [self.key(name) for name in names]

    def key(self, name: str) -> str:
        shared = is_slice(name) if self.series is None else bool(self.series)
        return series_of(name) if shared else name

    def noise(self, seed: int, names: Sequence[str], images: Images) -> Any:
        """The noise of some images of the source."""
        if self.series != "flow":
            return Noise(seed, self(names))
        series = {name: series_of(name) for name in names}
        found = {name: self.ways_of(one, images)[name] for name, one in series.items()}
        return Carried(seed, list(names), series, found)

    def ways_of(self, series: str, images: Images) -> dict[str, Way]:
        if series not in self.known:
            places = {name: i for i, name in enumerate(images.ids) if series_of(name) == series}
            names = in_order(places)
            frames = [grey(images.array(places[name])) for name in names]
            self.known[series] = dict(zip(names, ways(frames), strict=True))
        return self.known[series]


def noise_of(data: Any, seed: int, split: str, names: Sequence[str]) -> Any:
    """The noise of some images of a data module."""
    shown = data.translatable(split) if data.keys.series == "flow" else None
    return data.keys.noise(
        seed, names, getattr(shown, "source", None) or getattr(shown, "images", None)
    )


def grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] of an image."""
    unit = pixels / 255.0 if pixels.dtype == np.uint8 else (pixels + 1.0) / 2
    return unit.mean(2)
