"""What a training batch shows: target images, labelled images of all domains, both, or pairs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from egsde.data.domains import Images, Subset, by_stem, look, spread, stem
from egsde.data.images import to_tensor
from egsde.data.shards import Draw, evenly

FEW = 256  # so many conditions are looked at before the work is dealt out


def picture(images: Images, index: int, flipped: bool = False, *place: Any) -> Tensor:
    """float32 (C, H, W) in [-1, 1], mirrored if asked; place: of a random crop."""
    cropped: Any = getattr(images, "cropped", None)
    array = images.array(index) if cropped is None or not place else cropped(index, *place)
    return to_tensor(array[:, ::-1] if flipped else array)


class Pictures(Dataset):
    """dict(id, image) of one domain, in the order of its ids."""

    def __init__(self, images: Images) -> None:
        self.images, self.ids = images, images.ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": self.ids[index], "image": picture(self.images, index)}


class Shown(dict[str, Any]):
    """A training batch; ValueError that names its view where a model asks for what it lacks."""

    def __init__(self, batch: Mapping[str, Any], view: str) -> None:
        super().__init__(batch)
        self.view = view

    def __missing__(self, name: str) -> Any:
        raise ValueError(
            f"data.view={self.view} shows {', '.join(sorted(self))}, and the model that is trained "
            f"reads {name}; leave data.view out, each model= has its own"
        )


class Conditions(Protocol):
    """What comes with the images by their ids and shapes: masks, low-resolution pictures."""

    def check(self, ids: Sequence[str], images: Images) -> None: ...
    def of(self, name: str, shape: tuple[int, int]) -> Tensor: ...


class Translations(Dataset):
    """dict(id, x0 [, truth] [, mask] ...) of source images; truth is the partner in the target.

    beside: mask, low, ... by name.
    """

    def __init__(
        self,
        source: Images,
        truth: Images | None = None,
        beside: Mapping[str, Conditions] | None = None,
    ) -> None:
        self.source, self.truth, self.ids = source, truth, source.ids
        self.beside = dict(beside or {})

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.ids[index], "x0": picture(self.source, index)}
        if self.truth is not None:
            item["truth"] = picture(self.truth, index)
        for name, conditions in self.beside.items():
            item[name] = conditions.of(self.ids[index], tuple(item["x0"].shape[-2:]))
        return item

    def look(self, chosen: Sequence[int], mine: Sequence[int] = ()) -> None:
        """Open what will be read, see `domains.look`; ValueError also where a condition is missing
        or misfits. Before it is known what is `mine`, some of the conditions are."""
        for images in (self.source, self.truth):
            look(images, chosen, mine)
        few = mine or [chosen[k] for k in spread(len(chosen), FEW)]
        for conditions in self.beside.values():
            conditions.check([self.ids[i] for i in few], self.source)


def pair(source: Images, target: Images) -> tuple[Subset, Subset]:
    """The images of two domains that share an id (without suffix), in the source's order.
    ValueError where none do."""
    mine_by, theirs_by = by_stem(source.ids, "source"), by_stem(target.ids, "target")
    place = {name: index for index, name in enumerate(target.ids)}
    both = [(i, place[theirs_by[s]]) for i, s in enumerate(mine_by) if s in theirs_by]
    if not both:
        raise ValueError("no image of the source has a partner of the same name in the target")
    mine, theirs = zip(*both, strict=True)
    known = {stem(source.ids[i]) for i in mine}
    alone = [name for name in (*source.ids, *target.ids) if stem(name) not in known]
    if alone:
        count, names = len(alone), ", ".join(alone)
        warnings.warn(f"{count} images have no partner and are left out: {names}", stacklevel=2)
    return Subset(source, mine), Subset(target, theirs)


class View(Protocol):
    """A dataset keyed by draws, and how many draws of each stream make a batch."""

    domains: list[Images]
    sizes: list[int]

    def counts(self, batch_size: int) -> list[int]:
        """How many images of each stream make a batch."""
        ...

    def in_order(self) -> list[list[Draw]]:
        """For validation: every image once, those that belong together in one list."""
        ...

    def __getitem__(self, draw: Draw) -> dict[str, Any]: ...
    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch of `__getitem__`s: images stacked to (B, C, H, W), ids in a list."""
        ...


def in_order(sizes: Sequence[int]) -> list[list[Draw]]:
    """Every image once and alone, unflipped, the domains interleaved evenly."""
    draws = [((i + 0.5) / n, k, i) for k, n in enumerate(sizes) for i in range(n)]
    return [[(k, i, False)] for _, k, i in sorted(draws)]


def validated(view: View, batch_size: int, rank: int, world: int) -> list[list[Draw]]:
    """The batches of a rank: what belongs together is dealt out together, and to every rank at
    least one, since a rank without a batch would not meet the others."""
    dealt = view.in_order()
    mine = dealt[rank::world] or dealt[:1]
    size = max(1, batch_size // len(mine[0]))
    groups = (mine[i : i + size] for i in range(0, len(mine), size))
    return [[draw for group in some for draw in group] for some in groups]


class Labelled(Dataset):
    """dict(id, image, label): label 0 is the source, the last the target, extra domains between."""

    def __init__(self, domains: Sequence[Images]) -> None:
        self.domains = list(domains)
        self.sizes = [len(images.ids) for images in domains]

    def counts(self, batch_size: int) -> list[int]:
        return evenly(batch_size, len(self.sizes))

    def in_order(self) -> list[list[Draw]]:
        return in_order(self.sizes)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        domain, index, flipped, *place = draw
        images = self.domains[domain]
        image = picture(images, index, flipped, *place)
        return {"id": images.ids[index], "image": image, "label": domain}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return default_collate(items)


class Target(Labelled):
    """dict(id, image) of the target domain."""

    def __init__(self, domains: Sequence[Images]) -> None:
        super().__init__(domains[-1:])

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        item = super().__getitem__(draw)
        return {"id": item["id"], "image": item["image"]}


class Both(Labelled):
    """dict(x, y, id, id_y): unpaired source images x and target images y."""

    def __init__(self, domains: Sequence[Images]) -> None:
        super().__init__([domains[0], domains[-1]])

    def counts(self, batch_size: int) -> list[int]:
        return [batch_size, batch_size]

    def in_order(self) -> list[list[Draw]]:
        """An image of each domain, as many as the smaller has, evenly chosen of the larger."""
        fewest = min(self.sizes)
        return [[(k, i * n // fewest, False) for k, n in enumerate(self.sizes)]
                for i in range(fewest)]  # fmt: skip

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        x, y = ([item for item in items if item["label"] == k] for k in (0, 1))
        count = min(len(x), len(y))
        batch = {"x": [i["image"] for i in x[:count]], "y": [i["image"] for i in y[:count]]}
        stacked: dict[str, Any] = {
            name: torch.stack(rows) if rows else torch.empty(0) for name, rows in batch.items()
        }
        names = {"id": [i["id"] for i in x[:count]], "id_y": [i["id"] for i in y[:count]]}
        return stacked | names


class Paired(Dataset):
    """dict(id, x, y): the same id in the source and in the target, mirrored together."""

    def __init__(self, domains: Sequence[Images]) -> None:
        self.x, self.y = pair(domains[0], domains[-1])
        self.domains: list[Images] = [self.x, self.y]
        self.sizes = [len(self.x.ids)]

    def counts(self, batch_size: int) -> list[int]:
        return [batch_size]

    def in_order(self) -> list[list[Draw]]:
        return in_order(self.sizes)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        _, index, flipped, *place = draw
        x, y = picture(self.x, index, flipped, *place), picture(self.y, index, flipped, *place)
        return {"id": self.x.ids[index], "x": x, "y": y}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return default_collate(items)


VIEWS: dict[str, type] = {"target": Target, "labelled": Labelled, "both": Both, "paired": Paired}
