"""Random masks of the pixels to fill in: (height, width, generator) -> (1, H, W), 1 = known.

Palette (Saharia 2022, arXiv 2111.05826, section 4.2) trains on free-form strokes and rectangles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Mask = Callable[[int, int, torch.Generator], Tensor]


def between(low: float, high: float, generator: torch.Generator) -> float:
    """A number uniform in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def chance(probability: float, generator: torch.Generator) -> bool:
    """True with this probability."""
    return between(0, 1, generator) < probability


def _check_range(who: str, low: float, high: float) -> None:
    if not 0 < low <= high <= 1:
        raise ValueError(
            f"{who} needs 0 < low <= high <= 1, shares of a side, got {low} and {high}"
        )


@dataclass(frozen=True)
class Rectangle:
    """One rectangle somewhere inside; its sides are `low` to `high` of the image's."""

    low: float = 0.25
    high: float = 0.6

    def __post_init__(self) -> None:
        _check_range("Rectangle", self.low, self.high)

    def __call__(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        rows, columns = (self._span(side, generator) for side in (height, width))
        mask = torch.ones(1, height, width)
        mask[:, rows, columns] = 0
        return mask

    def _span(self, side: int, generator: torch.Generator) -> slice:
        length = max(1, round(between(self.low, self.high, generator) * side))
        first = int(between(0, side - length + 1, generator))
        return slice(first, first + length)


@dataclass(frozen=True)
class Strokes:
    """One to `most` broken lines of round brushes, as if drawn by hand (free-form masks, Yu 2019).

    Widths are `low` to `high` of the shorter side, a line has two to `bends` + 1 pieces. ValueError
    for no line or no bend.
    """

    most: int = 3
    bends: int = 4
    low: float = 0.06
    high: float = 0.2

    def __post_init__(self) -> None:
        _check_range("Strokes", self.low, self.high)
        if self.most < 1 or self.bends < 1:
            raise ValueError(
                f"Strokes needs at least one line and one bend, got {self.most} and {self.bends}"
            )

    def __call__(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        lines = 1 + int(between(0, self.most, generator))
        hidden = [self._line(height, width, generator) for _ in range(lines)]
        return 1 - torch.stack(hidden).amax(0)

    def _line(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        size = torch.tensor([height, width], dtype=torch.float32)
        bends = 1 + int(between(0, self.bends, generator))
        radius = between(self.low, self.high, generator) * min(height, width) / 2
        points = torch.rand(bends + 2, 2, generator=generator) * size  # (P, 2)
        return (_distance(height, width, points) <= max(radius, 0.5)).float()


def _distance(height: int, width: int, points: Tensor) -> Tensor:
    """Distances of the pixels' centres to a line through `points` (P, 2), (1, H, W)."""
    axes = (torch.arange(n, dtype=torch.float32) + 0.5 for n in (height, width))
    pixels = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None]  # (1, H, W, 2)
    first, along = points[:-1, None, None], points.diff(dim=0)[:, None, None]  # (P - 1, 1, 1, 2)
    length = along.square().sum(-1).clamp(min=1e-6)
    place = (((pixels - first) * along).sum(-1) / length).clamp(0, 1)[..., None]
    return (pixels - first - place * along).norm(dim=-1).amin(0, keepdim=True)


@dataclass(frozen=True)
class Either:
    """`first` with this probability, else `second`."""

    first: Mask = Strokes()
    second: Mask = Rectangle()
    probability: float = 0.6

    def __call__(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        mask = self.first if chance(self.probability, generator) else self.second
        return mask(height, width, generator)


@dataclass(frozen=True)
class Both:
    """What either of two masks hides."""

    first: Mask = Strokes()
    second: Mask = Rectangle()

    def __call__(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        return self.first(height, width, generator) * self.second(height, width, generator)


@dataclass(frozen=True)
class Border:
    """All but a centred window, or all but a window at one side (with probability `one_side`).

    share: how much of the area is hidden (Palette's uncropping: one half). ValueError for shares
    outside (0, 1).
    """

    share: float = 0.5
    one_side: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or not 0 <= self.one_side <= 1:
            raise ValueError(
                "Border needs share in (0, 1) and one_side in [0, 1], got "
                f"{self.share} and {self.one_side}"
            )

    def __call__(self, height: int, width: int, generator: torch.Generator) -> Tensor:
        mask = torch.zeros(1, height, width)
        rows = columns = slice(None)
        if not chance(self.one_side, generator):
            rows, columns = (self._middle(side) for side in (height, width))
        elif chance(0.5, generator):
            rows = self._end(height, generator)
        else:
            columns = self._end(width, generator)
        mask[:, rows, columns] = 1
        return mask

    def _middle(self, side: int) -> slice:
        length = max(1, round((1 - self.share) ** 0.5 * side))
        first = (side - length) // 2
        return slice(first, first + length)

    def _end(self, side: int, generator: torch.Generator) -> slice:
        length = max(1, round((1 - self.share) * side))
        return slice(0, length) if chance(0.5, generator) else slice(side - length, side)
