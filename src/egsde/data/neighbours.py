"""Neighbours of a slice in its series, as channels beside it: a condition of 2.5 dimensions.

Of slice k: k - K, ..., k - 1, k + 1, ..., k + K, C channels each; at the ends the last one is
repeated. Series are containers, and folders of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from egsde.data.domains import Images
from egsde.data.series import grouped
from egsde.data.views import picture


class Neighbours:
    """Conditions by id, `Conditions` of a data set: (2 K C, H, W). ValueError for a count below
    1."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"data.neighbours={count} are none; use 1 or more, or null")
        self.count = count
        self.known: dict[str, tuple[Images, list[int]]] = {}

    def check(self, ids: Sequence[str], images: Images) -> None:
        """Learn what lies beside the images."""
        places = {name: place for place, name in enumerate(images.ids)}
        for names in grouped(images.ids, folders=True).values():
            every = [places[name] for name in names]
            last = len(every) - 1
            for k, place in enumerate(every):
                steps = [*range(-self.count, 0), *range(1, self.count + 1)]
                beside = [every[min(max(k + step, 0), last)] for step in steps]
                self.known[images.ids[place]] = images, beside

    def of(self, name: str, shape: tuple[int, int]) -> Tensor:
        """As the image itself is."""
        return self.flipped(name, False)

    def flipped(self, name: str, flipped: bool, *place: object) -> Tensor:
        """Mirrored, or cropped, as the image itself is."""
        images, beside = self.known[name]
        return torch.cat([picture(images, k, flipped, *place) for k in beside])


class Beside:
    """A training view of pairs, each with the neighbours of its source."""

    def __init__(self, view: Any, neighbours: Neighbours) -> None:
        self.view, self.neighbours = view, neighbours
        self.domains, self.sizes = view.domains, view.sizes
        neighbours.check([], view.x)

    def counts(self, batch_size: int) -> list[int]:
        return self.view.counts(batch_size)

    def in_order(self) -> list[list[Any]]:
        return self.view.in_order()

    def __getitem__(self, draw: Any) -> dict[str, Any]:
        item, (_, _, flipped, *place) = self.view[draw], draw
        return item | {"neighbours": self.neighbours.flipped(item["id"], flipped, *place)}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return self.view.collate(items)


def beside_each(view: Any, neighbours: Any) -> Any:
    """The view with neighbours, where there are some; ValueError for one that shows no pairs."""
    if neighbours is None:
        return view
    if not hasattr(view, "x"):
        raise ValueError(
            "data.neighbours goes with networks that see the source, model=conditional "
            "(data.view=paired); drop data.neighbours"
        )
    return Beside(view, neighbours)
