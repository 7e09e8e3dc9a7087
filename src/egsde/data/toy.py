"""Points of the plane as images of one pixel with two channels, (B, 2, 1, 1) in about [-1, 1].

Every domain is a function (generator, count) -> float64 (count, 2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from egsde.data.domains import ArrayImages

Points = Callable[[np.random.Generator, int], np.ndarray]

MODES = ((-0.5, -0.3), (0.6, 0.4))  # centres of `modes`
WEIGHTS, SPREAD = (0.3, 0.7), 0.15  # their shares and their standard deviation


def modes(generator: np.random.Generator, count: int) -> np.ndarray:
    """30 % of N(first centre, SPREAD^2) and 70 % of N(second, SPREAD^2): its score is known."""
    which = generator.choice(2, count, p=WEIGHTS)
    return np.array(MODES)[which] + SPREAD * generator.standard_normal((count, 2))


def moons(generator: np.random.Generator, count: int) -> np.ndarray:
    """Two half circles of radius 1/2 that reach into each other, with noise of 0.03."""
    angle, side = np.pi * generator.random(count), generator.integers(2, size=count)
    sign = 1 - 2 * side
    x = 0.5 * sign * np.cos(angle) - 0.25 * sign
    y = 0.5 * sign * np.sin(angle) - 0.125 * sign
    return np.stack([x, y], 1) + 0.03 * generator.standard_normal((count, 2))


def rings(generator: np.random.Generator, count: int) -> np.ndarray:
    """Circles of radius 0.4 and 0.8, chosen alike, with noise of 0.03."""
    angle, radius = 2 * np.pi * generator.random(count), generator.choice([0.4, 0.8], count)
    circle = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return circle + 0.03 * generator.standard_normal((count, 2))


def checkerboard(generator: np.random.Generator, count: int) -> np.ndarray:
    """The black fields of a 4 x 4 board over [-1, 1]^2, uniformly."""
    row, pair = generator.integers(4, size=count), generator.integers(2, size=count)
    field = np.stack([2 * pair + row % 2, row], 1)
    return (field + generator.random((count, 2))) / 2 - 1


def grid(generator: np.random.Generator, count: int) -> np.ndarray:
    """25 modes, N(c, 0.01^2) with both coordinates of c among -0.8, -0.4 .. 0.8, chosen alike."""
    centres = 0.4 * (generator.integers(5, size=(count, 2)) - 2.0)
    return centres + 0.01 * generator.standard_normal((count, 2))


def _outline(generator: np.random.Generator, count: int, half: float) -> np.ndarray:
    """Uniform on the outline of a square of side 2 half."""
    side, along = generator.integers(4, size=count), half * (2 * generator.random(count) - 1)
    sign = half * (2 * (side % 2) - 1.0)
    across = side < 2
    return np.stack([np.where(across, along, sign), np.where(across, sign, along)], 1)


def concentric_squares(generator: np.random.Generator, count: int) -> np.ndarray:
    """Outlines of squares of side 0.8 and 1.6, chosen alike, with noise of 0.03."""
    half = generator.choice([0.4, 0.8], count)[:, None]
    return half * _outline(generator, count, 1.0) + 0.03 * generator.standard_normal((count, 2))


def _beside(generator: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """Two copies of a shape, half a unit to either side, chosen alike, with noise of 0.03."""
    count = len(shape)
    place = np.stack([generator.choice([-0.5, 0.5], count), np.zeros(count)], 1)
    return shape + place + 0.03 * generator.standard_normal((count, 2))


def parallel_rings(generator: np.random.Generator, count: int) -> np.ndarray:
    """Circles of radius 0.35 beside each other."""
    angle = 2 * np.pi * generator.random(count)
    return _beside(generator, 0.35 * np.stack([np.cos(angle), np.sin(angle)], 1))


def parallel_squares(generator: np.random.Generator, count: int) -> np.ndarray:
    """Outlines of squares of side 0.7 beside each other."""
    return _beside(generator, _outline(generator, count, 0.35))


DOMAINS: dict[str, Points] = {
    "modes": modes,
    "moons": moons,
    "rings": rings,
    "checkerboard": checkerboard,
    "grid": grid,
    "concentric_squares": concentric_squares,
    "parallel_rings": parallel_rings,
    "parallel_squares": parallel_squares,
}


class Toy:
    """Store of the domains in DOMAINS: `count` points of each for training, a quarter for others.

    Points depend on (seed, domain, split) only; an id means nothing across domains.
    """

    paired = False
    drawable = False

    def __init__(self, count: int = 8192, seed: int = 0) -> None:
        self.count, self.seed = count, seed

    def images(self, domain: str, split: str, size: int) -> ArrayImages:
        """float32 (n, 1, 1, 2); ValueError for another size than 1."""
        if domain not in DOMAINS:
            raise ValueError(f"toy domain {domain!r} is unknown; use one of {', '.join(DOMAINS)}")
        if size != 1:
            raise ValueError(f"points are images of one pixel, got data.size={size}; use 1")
        count = self.count if split == "train" else max(1, self.count // 4)
        key = [self.seed, *domain.encode(), *split.encode()]
        points = DOMAINS[domain](np.random.default_rng(key), count)
        ids = [f"{i:06d}.png" for i in range(count)]
        return ArrayImages(ids, points.astype(np.float32)[:, None, None])
