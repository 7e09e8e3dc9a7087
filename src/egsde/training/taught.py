"""What a student learns from: a teacher's walks of the training images, made once, kept as shards.

A shard holds the states of one key (a seed of the noise) for `data.eval_batch_size` images, half
precision, in the folder `pairs`. One that is there and was made by the same teacher of the same
images is not made again, so that work that was cut goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import default_collate

from egsde.data import Images, TwoDomains
from egsde.data.domains import Subset, spread
from egsde.data.shards import Draw
from egsde.data.views import in_order, picture
from egsde.disk import whole
from egsde.methods.teacher import Teacher


class Pairs:
    """The shards of one split: states by (key, image), float32 (segments + 1, C, H, W)."""

    def __init__(self, folder: Path, split: str, images: Images, teacher: Teacher, size: int):
        self.folder, self.split, self.images = folder, split, images
        self.teacher, self.size = teacher, size
        self.known: dict[int, str] = {}

    def path(self, key: int, shard: int) -> Path:
        return self.folder / f"{self.split}-{key}-{shard:05d}.safetensors"

    def recipe(self, shard: int) -> str:
        """Of the teacher, and of the shard's images."""
        if shard not in self.known:
            made = blake2b(self.teacher.recipe.encode(), digest_size=16)
            for i in self._places(shard):
                made.update(self.images.ids[i].encode("utf-8", "surrogateescape"))
                made.update(np.ascontiguousarray(self.images.array(i)).tobytes())
            self.known[shard] = made.hexdigest()
        return self.known[shard]

    def _places(self, shard: int) -> range:
        return range(shard * self.size, min((shard + 1) * self.size, len(self.images.ids)))

    def missing(self, keys: int) -> list[tuple[int, int]]:
        """(key, shard) of what is not there, or of another teacher."""
        shards = range(-(-len(self.images.ids) // self.size))
        return [(k, i) for k in range(keys) for i in shards if not self._there(k, i)]

    def _there(self, key: int, shard: int) -> bool:
        """Whether it is whole: of this teacher and these images, and the numbers that it says."""
        places = self._places(shard)
        try:
            with safe_open(self.path(key, shard), framework="pt") as file:
                told, names = file.metadata() or {}, list(file.keys())
                if told.get("recipe") != self.recipe(shard) or names != ["y"]:
                    return False
                times, states = _times(told), file.get_tensor("y")
        except (OSError, ValueError, SafetensorError):
            return False
        if told.get("states", _digest(states)) != _digest(states):
            return False
        alike = states.shape[2:] == picture(self.images, places[0]).shape
        right = states.shape[:2] == (len(places), len(times)) and states.dtype == torch.half
        return right and alike and len(times) == self.teacher.segments + 1 and finite(states)

    def make(self, key: int, shard: int, device: torch.device) -> None:
        """Walk the teacher over the images of one shard, and write it. ValueError where the walk
        is not finite."""
        places = self._places(shard)
        x0 = torch.stack([picture(self.images, i) for i in places]).to(device)
        states, times = self.teacher.walk(x0, [self.images.ids[i] for i in places], key)
        if not finite(states):
            raise ValueError("the teacher's translations are not finite; look at its own images")
        y = states.half().cpu().contiguous()
        told = {"recipe": self.recipe(shard), "times": ",".join(map(repr, times))}
        with whole(self.path(key, shard)) as temporary:
            save_file({"y": y}, temporary, metadata=told | {"states": _digest(y)})

    def times(self) -> list[float]:
        """Those of the states, from M to 0."""
        with safe_open(self.path(0, 0), framework="pt") as file:
            return _times(file.metadata())

    def states(self, key: int, index: int) -> Tensor:
        shard, row = divmod(index, self.size)
        with safe_open(self.path(key, shard), framework="pt") as file:
            return file.get_slice("y")[row].float()


def finite(states: Tensor) -> bool:
    """Whether all of their numbers are some."""
    return bool(states.isfinite().all())


def _times(told: Mapping[str, str]) -> list[float]:
    """Those of a shard; ValueError for other words, or times that do not fall."""
    times = [float(t) for t in told.get("times", "").split(",")]
    if not all(1e9 > a > b >= 0 for a, b in pairwise(times)):
        raise ValueError(f"times {times} do not fall")
    return times


def _digest(states: Tensor) -> str:
    return blake2b(states.contiguous().view(torch.uint8).numpy().data, digest_size=16).hexdigest()


class Walks:
    """A view dict(id, x, states): every image with every key, mirrored as a whole."""

    def __init__(self, pairs: Pairs, keys: int) -> None:
        self.pairs, self.domains = pairs, [pairs.images]
        self.count = len(pairs.images.ids)
        self.sizes = [self.count * keys]

    def counts(self, batch_size: int) -> list[int]:
        return [batch_size]

    def in_order(self) -> list[list[Draw]]:
        return in_order(self.sizes)

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        _, index, flipped = draw
        key, place = divmod(index, self.count)
        x = picture(self.pairs.images, place, flipped)
        states = self.pairs.states(key, place)
        name = f"{key}/{self.pairs.images.ids[place]}"
        return {"id": name, "x": x, "states": states.flip(-1) if flipped else states}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return default_collate(items)


class TaughtDomains(TwoDomains):
    """Two domains whose training batches are a teacher's walks from the source to the target.

    keys: noises of each training image; the `limit` validation images have one. pairs: the folder
    of shards. ValueError for fewer than one noise, or data that is augmented or kept on a device.
    """

    def __init__(
        self, *args: Any, teacher: Teacher, keys: int, pairs: str | Path, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        if self.augment is not None or self.resident:
            raise ValueError(
                "a student learns from kept pairs: use data.augment=null and data.resident=false "
                "(data.flip mirrors them)"
            )
        if keys < 1:
            raise ValueError(f"a student needs at least one noise an image, got data.keys={keys}")
        self.teacher, self.noises, self.folder = teacher, keys, Path(pairs)

    def kept(self, split: str) -> Pairs:
        """`train_limit` of the training images, `limit` of the others."""
        images = self.images(self.source, split)
        limit = self.train_limit if split == "train" else self.limit
        if limit is not None:
            images = Subset(images, spread(len(images.ids), limit))
        return Pairs(self.folder, split, images, self.teacher, self.eval_batch_size)

    def viewed(self, split: str) -> Any:
        return Walks(self.kept(split), self._keys(split))

    def _keys(self, split: str) -> int:
        return self.noises if split == "train" else 1

    def prepare_data(self) -> None:
        """Make the shards that are not there; on one process a machine.

        ValueError for a teacher of other images.
        """
        source, target, size = given = (self.names[0], self.names[-1], self.size)
        if (own := self.teacher.images or given) != given:
            raise ValueError(
                f"the teacher translates {own[0]} to {own[1]} at {own[2]} px, and the student is "
                f"to learn from {source} to {target} at {size} px; give the teacher's own domains "
                "and size: data=, data.source=, data.target=, data.size="
            )
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        self.teacher.to(device)
        for split in ("val", "train"):
            pairs = self.kept(split)
            missing = pairs.missing(self._keys(split))
            for done, (key, shard) in enumerate(missing, 1):
                pairs.make(key, shard, device)
                _told(f"pairs of the teacher, {split}: {done} of {len(missing)} shards")

    @property
    def times(self) -> Sequence[float]:
        """Of the states, once they are made."""
        return self.kept("val").times()


@rank_zero_only
def _told(text: str) -> None:
    print(text, flush=True)
