"""What a data module is asked for, checked before any picture is opened."""

from __future__ import annotations

from typing import Any, Literal

import torch

from egsde.data.degradations import Degradation
from egsde.data.fits import WHOLE, Size, sides
from egsde.data.views import VIEWS

STORE_KEYS = {"root", "fit", "on_error", "cache_mib", "disjoint", "axis", "slices", "colours"}


def check(
    described: dict[str, Any], view: str, source: str, target: str, degradation: Degradation | None
) -> None:
    """ValueError for unknown options and views, and for domains that are none or one."""
    unknown = set(described) - STORE_KEYS
    if unknown:
        raise ValueError(f"TwoDomains has no option {', '.join(sorted(unknown))}")
    if view not in VIEWS:
        raise ValueError(f"data.view={view!r} is unknown; use one of {', '.join(VIEWS)}")
    read = {"source": source, "target": target} if degradation is None else {"target": target}
    for key, domain in read.items():
        if not str(domain or "").strip():
            raise ValueError(
                f"data.{key} is an empty path; was it a shell variable that is not set? Name a "
                "folder"
            )
    if source == target and degradation is None:
        raise ValueError(f"data.source and data.target are both {source!r}; choose two domains")


def at_once(batch_size: int | Literal["auto"]) -> int:
    """How many images go together; "auto": many, of which a translation takes half as soon as
    memory ends."""
    if batch_size == "auto":
        return 256 if torch.cuda.is_available() else 32
    return batch_size


def check_beside(degradation: Degradation | None, fit: str, **beside: str | int | None) -> None:
    """ValueError where masks, low-resolution pictures or neighbours go with images that do not take
    them."""
    refused = {"mask": ("random_crop",), "low": (*WHOLE, "random_crop")}
    for name, path in beside.items():
        if path and degradation is not None:
            raise ValueError(
                f"data.{name}={path} goes with images as they are, and a degradation was "
                f"given, too; drop one of the two: data.{name}=null or degradation=null"
            )
        if path and fit in refused.get(name, ()) and path != "centre":
            raise ValueError(
                f"data.{name}={path} goes with images of one size, and data.fit={fit}; use "
                f"data.fit=crop, or data.{name}=null"
            )


def check_sizes(
    size: Size, train_size: Size | None, augment: object, resident: bool, view: str, fit: str
) -> None:
    """ValueError where training pictures cannot be brought to the size, or kept on the device."""
    if train_size is not None and sides(train_size) != sides(size) and augment is None:
        raise ValueError(
            f"data.train_size={train_size} is brought to data.size={size} by data.augment, and "
            "there is none; give one, or drop data.train_size"
        )
    if augment is not None and not isinstance(train_size or size, int):
        raise ValueError(
            f"data.augment makes squares, and data.size={size}; use data.augment=null or a square"
        )
    if resident and view not in ("target", "labelled", "paired"):
        raise ValueError(f"data.resident holds no view {view!r}; use data.resident=false")
    if resident and fit == "random_crop":
        raise ValueError("data.resident holds whole images, and data.fit=random_crop; drop one")


def one_size(size: Size) -> Size:
    """A number for a square, (height, width) for a rectangle."""
    height, width = sides(size)
    return height if height == width else (height, width)


def square_side(size: Size, beside: str) -> int:
    """The side of a square; ValueError for a rectangle, which `data.{beside}` does not take."""
    if not isinstance(size, int):
        raise ValueError(f"data.{beside} goes with square pictures, and data.size is {list(size)}")
    return size
