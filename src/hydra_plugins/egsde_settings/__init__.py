"""What the files of conf compute: where they lie, and what follows from an image's size.

Hydra imports its plugins before it composes anything, so programs, tests and notebooks have them.
"""

from __future__ import annotations

import math
from typing import Any

from omegaconf import ListConfig, OmegaConf

from egsde.programs.better import mode_of
from egsde.programs.folders import new_folder
from egsde.programs.settings import CONF

LONGEST_SIDE = 2**15  # pixels


def eighth(size: Any) -> int:
    """The low pass that leaves 8x8 cells, as the paper's 32 does at 256 px: of the numbers that
    divide the size, both sides of a rectangle, the nearest to an eighth of it, of the shorter."""
    sides = _sides(size)
    side, common = min(sides), math.gcd(*sides)
    return min(
        (n for n in range(1, common + 1) if common % n == 0), key=lambda n: abs(8 * n - side)
    )


def shorter(size: Any) -> int:
    """The shorter side."""
    return min(_sides(size))


def by_size(size: Any, small: Any, large: Any) -> Any:
    """`small` below 128 px, of the shorter side, `large` from there."""
    chosen = small if min(_sides(size)) < 128 else large
    return OmegaConf.create(chosen) if isinstance(chosen, list) else chosen


def halvings(size: Any) -> int:
    """How often both sides can be halved, at most eight times: a UNet down to one pixel."""
    side = math.gcd(*_sides(size))
    return min(8, (side & -side).bit_length() - 1)


def attending(size: Any, wanted: Any) -> Any:
    """Sides of feature maps that attend: those wanted, but in place of one that does not divide
    the shorter side the largest below it that halvings give."""
    side = min(_sides(size))
    halves = [side >> k for k in range(side.bit_length()) if side % 2**k == 0]
    found = (n if side % n == 0 else max((h for h in halves if h < n), default=0) for n in wanted)
    return OmegaConf.create([n for n in found if n])


def head_channels(size: Any) -> int:
    """Channels of a head of attention: 32 where the first level attends, which has no more."""
    return 32 if min(_sides(size)) <= 8 else 64


def judged(size: Any) -> int:
    """Layers of a judge of patches: three, as published, from 32 px on, and what smaller sides
    leave room for."""
    return max(1, min(3, min(_sides(size)).bit_length() - 3))


def steps(interval: Any) -> int:
    """A number of steps; 1000 for a fraction of an epoch, a duration or none."""
    return interval if isinstance(interval, int) and interval > 0 else 1000


def labels(extra: Any, drop: float) -> int:
    """One label a domain, and one more for images that are shown without."""
    return 2 + len(extra or ()) + bool(drop)


def halved(size: Any, levels: Any) -> Any:
    """The side, or sides, of the latents of an autoencoder of so many levels: one halving less."""
    height, width = (side // 2 ** (len(levels) - 1) for side in _sides(size))
    return height if height == width else OmegaConf.create([height, width])


def _sides(size: Any) -> list[int]:
    """Height and width of data.size, a number or [height, width]."""
    sides = list(size) if isinstance(size, (list, tuple, ListConfig)) else [size, size]
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sides)
    if whole and len(sides) == 2 and max(sides) <= LONGEST_SIDE:
        return sides
    raise ValueError(
        f"data.size={size}, but a whole number above 0 and up to {LONGEST_SIDE}, or "
        "[height, width], is wanted"
    )


OmegaConf.register_new_resolver("conf", lambda: str(CONF), replace=True)
OmegaConf.register_new_resolver(
    "beside", lambda channels, count: channels * (2 + 2 * (count or 0)), replace=True
)
OmegaConf.register_new_resolver("eighth", eighth, replace=True)
OmegaConf.register_new_resolver("by_size", by_size, replace=True)
OmegaConf.register_new_resolver("labels", labels, replace=True)
OmegaConf.register_new_resolver("mode", lambda name: mode_of(str(name)), replace=True)
# A configuration keeps what it was told, so the jobs of a sweep in other processes get its folder.
OmegaConf.register_new_resolver("new_folder", new_folder, replace=True, use_cache=True)
OmegaConf.register_new_resolver("halvings", halvings, replace=True)
OmegaConf.register_new_resolver("halved", halved, replace=True)
OmegaConf.register_new_resolver("attending", attending, replace=True)
OmegaConf.register_new_resolver("head_channels", head_channels, replace=True)
OmegaConf.register_new_resolver("judged", judged, replace=True)
OmegaConf.register_new_resolver("steps", steps, replace=True)
OmegaConf.register_new_resolver("shorter", shorter, replace=True)
OmegaConf.register_new_resolver("times", lambda a, b: a * b, replace=True)
OmegaConf.register_new_resolver("plus", lambda a, b: a + b, replace=True)
