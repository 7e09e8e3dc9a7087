"""Sides of images and of feature maps: what divides, and where a network attends."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

Numbers = str | float | Iterable[float] | None
Size = int | Sequence[int]  # a number, or [height, width]


def numbers(value: Numbers) -> tuple[float, ...]:
    """Read "16,8", 16, [16, 8] or nothing as a tuple; whole numbers become int."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [float(part) for part in value.split(",") if part.strip()]
    elif isinstance(value, (int, float)):
        value = [value]
    return tuple(int(v) if float(v).is_integer() else float(v) for v in value)


def sides_of(image_size: Size) -> tuple[int, int]:
    """Height and width of image_size, a number or [height, width]."""
    if isinstance(image_size, int):
        return image_size, image_size
    height, width = image_size
    return height, width


def folded_side(image_size: Size, patch: int, halvings: int = 0) -> int:
    """Shorter side of an image whose patch x patch pixels are folded into channels; ValueError
    where the patch does not divide both sides, or they cannot be halved so often."""
    sides = sides_of(image_size)
    if patch < 1 or any(side % patch for side in sides):
        raise ValueError(
            f"patch={patch} does not divide image_size={image_size}; choose a divisor of the size"
        )
    folded = [side // patch for side in sides]
    if any(side % 2**halvings for side in folded) and folded[0] != folded[1]:
        raise ValueError(
            f"image_size={list(sides)} cannot be halved {halvings} times; shorten channel_mult, or "
            "choose other sides"
        )
    return min(folded)


def level_widths(image_size: int, width: int, channel_mult: Numbers) -> tuple[int, ...]:
    """Channels per level: int(width m) for m in channel_mult, by default the official multipliers.

    ValueError for an image size without a default or with more halvings than it allows.
    """
    official = {
        512: (0.5, 1, 1, 2, 2, 4, 4),
        256: (1, 1, 2, 2, 4, 4),
        128: (1, 1, 2, 3, 4),
        64: (1, 2, 3, 4),
    }
    mult = numbers(channel_mult) or official.get(image_size)
    if mult is None:
        raise ValueError(
            f"no default channel_mult for image_size={image_size} (there is one for 64, 128, 256 "
            "and 512); give it, for example channel_mult=[1, 2, 2]"
        )
    if image_size % 2 ** (len(mult) - 1):
        raise ValueError(
            f"image_size={image_size} cannot be halved {len(mult) - 1} times; "
            f"shorten channel_mult={list(mult)} or choose another image_size"
        )
    return tuple(int(width * m) for m in mult)


def downsampling(image_size: int, resolutions: Numbers, levels: int) -> frozenset[int]:
    """Resolutions such as "16,8" as downsampling factors image_size / resolution.

    Warns of those at which the network, halving levels - 1 times, has no feature map. ValueError
    for one that does not divide image_size.
    """
    factors, sides = set(), [image_size // 2**level for level in range(levels)]
    for resolution in numbers(resolutions):
        if resolution <= 0 or image_size % resolution:
            raise ValueError(
                f"attention resolution {resolution} does not divide image_size={image_size}; "
                f"attention_resolutions are sides of feature maps: {image_size}, "
                f"{image_size // 2}, {image_size // 4} ..."
            )
        if resolution not in sides:
            warnings.warn(
                f"no attention at {resolution}: attention_resolutions names it, but the feature "
                f"maps have the sides {', '.join(map(str, sides))}",
                stacklevel=2,
            )
        factors.add(int(image_size // resolution))
    return frozenset(factors)
