"""LightningDataModule of two domains: training views, and the source images to translate."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from torch.utils.data import Subset as SubsetOfDataset

from egsde.data.augment import Augment, augmented
from egsde.data.degradations import Degradation
from egsde.data.domains import Images, Store, Subset, look, spread
from egsde.data.low_resolution import LowResolution
from egsde.data.masks import masks
from egsde.data.one import is_picture, one_picture
from egsde.data.resident import Resident
from egsde.data.restorations import Restorations
from egsde.data.shards import Batches, ResumableLoader, batches_trained, shard
from egsde.data.views import VIEWS, Conditions, Pictures, Translations, View, in_order, pair

STORE_KEYS = {"root", "fit", "on_error", "cache_mib", "disjoint"}


class TwoDomains(LightningDataModule):
    """Source and target domain of a store.

    view: what a training batch shows, "target" dict(id, image), "labelled" dict(id, image, label)
    with label 0 the source, then `extra`, the target last, "both" dict(x, y, id, id_y), "paired"
    dict(id, x, y). Images are float32 (B, 3, size, size) in [-1, 1]. degradation: translations
    are images of the target, degraded, with the clean ones as their truth.
    `single`: what is translated is one image file, given as the source (or, with a degradation,
    as the target); it is in every split.
    train_size: side of the pictures that training reads, by default `size`; augment: a function
    (images, uniform, copies) that makes training images of `size` of them, on the device of the
    batch. resident: keep the training pictures there, too (views target, labelled, paired).
    Training batches never end; order, flips and augmentation depend on (seed, batch, rank) only.
    Use it with Trainer(use_distributed_sampler=False): it deals images out itself, never padded.
    """

    def __init__(
        self,
        store: Store,
        source: str,
        target: str,
        *,
        size: int,
        extra: Sequence[str] = (),
        view: str = "target",
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        flip: bool = False,
        limit: int | None = None,
        train_limit: int | None = None,
        mask: str | None = None,
        low: str | None = None,
        degradation: Degradation | None = None,
        train_size: int | None = None,
        augment: Augment | None = None,
        resident: bool = False,
        seed: int = 0,
        **described: Any,
    ) -> None:
        """`described`: the keys that stand beside the others in conf but are the store's own."""
        super().__init__()
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
        for name, beside in (("mask", mask), ("low", low)):
            if beside and degradation is not None:
                raise ValueError(
                    f"data.{name}={beside} goes with images as they are, and a degradation was "
                    f"given, too; drop one of the two: data.{name}=null or degradation=null"
                )
        self.store, self.source, self.target, self.extra = store, source, target, list(extra)
        self.size, self.view, self.flip, self.seed = size, view, flip, seed
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size or batch_size
        self.num_workers = min(num_workers, os.cpu_count() or 1)
        self.limit, self.train_limit = limit, train_limit
        self.degradation, self.fit = degradation, described.get("fit", "crop")
        self.single = is_picture(source if degradation is None else target)
        self.train_size, self.augment = train_size or size, augment
        if self.train_size != size and augment is None:
            raise ValueError(
                f"data.train_size={train_size} is brought to data.size={size} by data.augment, and "
                "there is none; give one, or drop data.train_size"
            )
        if resident and view not in ("target", "labelled", "paired"):
            raise ValueError(f"data.resident holds no view {view!r}; use data.resident=false")
        self.resident = resident
        self.held: Resident | None = None
        self.beside: dict[str, Conditions] = {}
        if mask:
            self.beside["mask"] = masks(mask, size, self.fit)
        if low:
            self.beside["low"] = LowResolution(low, size)
        self.mine: Callable[[str], bool] = lambda name: True  # of the images to translate
        self.opened: dict[tuple[str, str, int], Images] = {}

    @property
    def domains(self) -> list[str]:
        """Source, extra domains, target: the order of the classifier's labels."""
        return [self.source, *self.extra, self.target]

    @property
    def names(self) -> list[str]:
        """Short names of `domains`, for legends and folders."""
        return [Path(domain).stem for domain in self.domains]

    def images(self, domain: str, split: str, size: int | None = None) -> Images:
        """Pictures of a domain by its name, opened once."""
        if not self.opened and self.degradation is None and not self.single:
            # Only stores of files can hold one thing under two names.
            getattr(self.store, "refuse_alike", lambda domains: None)(self.domains)
        key = domain, split, size or self.size
        if key not in self.opened:
            self.opened[key] = (
                one_picture(domain, key[2], self.fit)
                if is_picture(domain)
                else getattr(self.store, "unseen", self.store.images)(*key)
            )
        return self.opened[key]

    def domain(self, which: str, split: str, limit: int | None = None) -> Pictures:
        """Dataset of dict(id, image) of "source" or "target", looked at; `limit` of them."""
        if which not in ("source", "target"):
            raise ValueError(f"domain {which!r} is unknown; use source or target")
        images = self.images(self.source if which == "source" else self.target, split)
        chosen = spread(len(images.ids), limit)
        look(images, chosen)
        return Pictures(images if limit is None else Subset(images, chosen))

    def viewed(self, split: str) -> View:
        """The training view of one split, looked at."""
        view: View = VIEWS[self.view](self.shown(split))
        rank, world = self.rank_and_world()
        for images in view.domains:
            every = range(len(images.ids))
            look(images, every, every[rank::world] if self.trainer is not None else ())
        return view

    def shown(self, split: str) -> list[Images]:
        """The domains that the view of a split shows, all or `train_limit` images of each."""
        needed = self.domains[-1:] if self.view == "target" else self.domains
        size = self.train_size if split == "train" else self.size
        domains = [self.images(domain, split, size) for domain in needed]
        if split == "train" and self.train_limit is not None:
            if self.view == "paired":
                domains = list(pair(domains[0], domains[-1]))
            places = [spread(len(images.ids), self.train_limit) for images in domains]
            domains = [Subset(*both) for both in zip(domains, places, strict=True)]
        return domains

    def rank_and_world(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def loader_options(self) -> dict[str, Any]:
        return {
            "num_workers": self.num_workers,
            "pin_memory": torch.cuda.is_available(),
            "persistent_workers": self.num_workers > 0,
            "generator": torch.Generator(),  # the global one stays as it is
        }

    def train_dataloader(self) -> ResumableLoader:
        view = self.viewed("train")
        self.held = Resident(view) if self.resident else None
        loaded = self.held or view
        rank, world = self.rank_and_world()
        batches = Batches(
            view.sizes, view.counts(self.batch_size), seed=self.seed, rank=rank, world=world,
            flip=self.flip, start=lambda: batches_trained(self.trainer))  # fmt: skip
        return ResumableLoader(
            loaded,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=loaded.collate,
            **self.loader_options(),
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Training batches only: pixels from places, then the augmentation."""
        if (trainer := self.trainer) is None or not trainer.training:
            return batch
        if self.held is not None:
            batch = self.held.shown(batch)
        if self.augment is None:
            return batch
        key = self.seed, "augment", trainer.fit_loop.total_batch_idx
        return augmented(batch, self.augment, key, self.view == "paired", *self.rank_and_world())

    def val_dataloader(self) -> DataLoader:
        view = self.viewed("val")
        rank, world = self.rank_and_world()
        draws = in_order(view)
        return DataLoader(
            view,  # type: ignore[arg-type]
            batch_size=self.eval_batch_size,
            sampler=[draws[i] for i in shard(len(draws), rank, world)],  # type: ignore[arg-type]
            collate_fn=view.collate,
            **self.loader_options(),
        )

    def translatable(self, split: str) -> Translations | Restorations:
        """All images of a split that may be translated."""
        if self.degradation is not None:
            return Restorations(self.images(self.target, split), self.degradation, self.seed)
        source = self.images(self.source, split)
        if not self.store.paired or self.single:
            return Translations(source, None, self.beside)
        return Translations(*pair(source, self.images(self.target, split)), self.beside)

    def translations(self, split: str) -> SubsetOfDataset:
        """The images to translate: `limit`, evenly spread over the split; of those `mine`."""
        every = self.translatable(split)
        chosen = [i for i in spread(len(every), self.limit) if self.mine(every.ids[i])]
        return SubsetOfDataset(every, chosen)

    def translation_loader(
        self, split: str = "test", rank: int = 0, world: int = 1, batch_size: int | None = None
    ) -> DataLoader:
        """Batches dict(id, x0 [, truth] [, mask] [, low]) of ids[rank::world], never padded.

        ValueError where one of them cannot be read, or lacks its mask or low-resolution picture.
        """
        images = self.translations(split)
        places = shard(len(images), rank, world)
        images.dataset.look(images.indices, [images.indices[i] for i in places])  # type: ignore[attr-defined]
        return DataLoader(
            images,
            batch_size=batch_size or self.eval_batch_size,
            sampler=places,  # type: ignore[arg-type]
            **self.loader_options(),
        )
