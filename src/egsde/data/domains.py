"""A domain: pictures with stable ids, as uint8 arrays; and how an id names an output file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol
from unicodedata import normalize

import numpy as np

from egsde.data.images import SUFFIXES

ALIKE = (".tif", ".tiff", ".npy", ".npz")  # written as what they are, not as PNG


class Images(Protocol):
    """Pictures of one domain and split, all of one size unless whole frames are shown."""

    ids: list[str]  # sorted relative paths, with suffix

    def array(self, index: int) -> np.ndarray:
        """uint8 (H, W, C), or float32 (H, W, C) already in [-1, 1]."""
        ...

    def shape(self, name: str) -> tuple[int, int]:
        """Width and height of an image as it lies in its file, upright; asked where masks are."""
        ...


class Store(Protocol):
    """A data set: domains by name. `paired`: the same id in two domains is the same thing.

    `drawable`: its items are pictures, which can be shown and saved.
    """

    paired: bool
    drawable: bool

    def images(self, domain: str, split: str, size: Any) -> Images: ...


class ArrayImages:
    """Images held in memory: uint8 (N, H, W, 3), or float32 (N, H, W, C)."""

    def __init__(self, ids: Sequence[str], arrays: np.ndarray) -> None:
        self.ids, self.arrays = list(ids), arrays

    def array(self, index: int) -> np.ndarray:
        return self.arrays[index]

    def shape(self, name: str) -> tuple[int, int]:
        """Width and height of the original."""
        return self.arrays.shape[2], self.arrays.shape[1]

    def side(self, index: int) -> tuple[int, int]:
        """Height and width of an image."""
        return self.arrays.shape[1], self.arrays.shape[2]


class Subset:
    """The images at some indices of others, in that order."""

    def __init__(self, images: Images, indices: Sequence[int]) -> None:
        self.images, self.indices = images, list(indices)
        self.ids = [images.ids[i] for i in self.indices]

    def array(self, index: int) -> np.ndarray:
        return self.images.array(self.indices[index])

    def cropped(self, index: int, place: tuple[float, float]) -> np.ndarray:
        found: Any = getattr(self.images, "cropped", None)
        here = self.indices[index]
        return self.images.array(here) if found is None else found(here, place)

    def shape(self, name: str) -> tuple[int, int]:
        return self.images.shape(name)

    def side(self, index: int) -> tuple[int, int]:
        """Height and width of an image that has a shape of its own."""
        images: Any = self.images
        return images.side(self.indices[index])

    def look(self, chosen: Sequence[int], mine: Sequence[int] = ()) -> None:
        """See `look`."""
        look(self.images, *([self.indices[i] for i in places] for places in (chosen, mine)))


def look(images: Any, chosen: Sequence[int], mine: Sequence[int] = ()) -> None:
    """Open pictures before the work begins, where they lie in files; others are there already.

    chosen: those of the work; mine: of these, what this process will read. ValueError names what
    cannot be read.
    """
    if hasattr(images, "look"):
        images.look(chosen, mine)


def stem(name: str) -> str:
    """An id without its image suffix, in Unicode's form NFC: what the two sides of a pair share."""
    name = normalize("NFC", name)
    head, dot, tail = name.rpartition(".")
    return head if f"{dot}{tail}".lower() in SUFFIXES else name


def by_stem(names: Iterable[str], what: str) -> dict[str, str]:
    """Names by their stems; ValueError where two share one, since neither is the right one."""
    found: dict[str, str] = {}
    for name in names:
        if (other := found.setdefault(stem(name), name)) != name:
            raise ValueError(
                f"{what}: {other} and {name} have the same name but for the suffix; which of them "
                "goes with the image of that name cannot be told; remove one"
            )
    return found


def output_name(name: str) -> str:
    """Path of the file made from image `name`; two ids never share one.

    `a/b.png` stays, and so do kinds that are written as they are (TIFF, .npy, .npz); any other gets
    `.png` appended (`a/b.jpg.png`), and so does a PNG whose stem looks like an image file, since
    that name may belong to its neighbour.
    """
    if name.lower().endswith(ALIKE):
        return name
    plain = name.endswith(".png") and stem(name[:-4]) == name[:-4]
    return name if plain else f"{name}.png"


def fraction(name: str) -> float:
    """A number in [0, 1) that depends on nothing but the id's stem."""
    return int.from_bytes(blake2b(stem(name).encode(), digest_size=7).digest(), "big") / 2**56


def hash_split(name: str) -> str:
    """train (80 %), val (10 %) or test (10 %) for an image of an undivided folder."""
    place = fraction(name)
    return "train" if place < 0.8 else "val" if place < 0.9 else "test"


def spread(count: int, limit: int | None) -> list[int]:
    """At most `limit` of the indices below count, evenly spread: floor(k count / limit).
    ValueError for a limit below 1."""
    if limit is None or limit >= count:
        return list(range(count))
    if limit < 1:
        raise ValueError(f"limit={limit} leaves no image; use a positive number or null")
    return [k * count // limit for k in range(limit)]
