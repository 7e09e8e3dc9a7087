"""LightningDataModule of two domains: training views, and the source images to translate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.data import DataLoader
from torch.utils.data import Subset as SubsetOfDataset

from egsde.data.alike import Alike, Pngs, Writer
from egsde.data.asked import at_once, check, check_beside, check_sizes, one_size
from egsde.data.augment import Augment, augmented
from egsde.data.conditions import conditions
from egsde.data.containers.base import cut_of
from egsde.data.degradations import Degradation
from egsde.data.domains import Images, Store, Subset, look, spread
from egsde.data.fits import WHOLE, Size
from egsde.data.neighbours import beside_each
from egsde.data.one import is_picture, one_picture
from egsde.data.rasters import range_of
from egsde.data.resident import Resident
from egsde.data.restorations import Restorations, degraded
from egsde.data.series import Keys
from egsde.data.shards import Batches, ResumableLoader, batches_trained, of_one_shape, shard
from egsde.data.views import VIEWS, Pictures, Shown, Translations, View, pair, validated
from egsde.data.workers import Loader, cores, loader_options


class TwoDomains(LightningDataModule):
    """Source and target domain of a store.

    view: what a training batch shows, "target" dict(id, image), "labelled" dict(id, image, label)
    with label 0 the source, then `extra`, the target last, "both" dict(x, y, id, id_y), "paired"
    dict(id, x, y). Images are float32 (B, channels, height, width) in [-1, 1]. degradation:
    translations, and x of a batch, are images of the target, degraded; their truth the clean ones.
    channels, range: of the files, and which of their numbers become [-1, 1]. restore: translations
    are written at the sources' size, by default where whole frames are shown.
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
        size: Size,
        extra: Sequence[str] = (),
        view: str = "target",
        batch_size: int | Literal["auto"] = 32,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        flip: bool = False,
        limit: int | None = None,
        train_limit: int | None = None,
        mask: str | None = None,
        low: str | None = None,
        degradation: Degradation | None = None,
        train_size: Size | None = None,
        augment: Augment | None = None,
        resident: bool = False,
        channels: int = 3,
        range: Sequence[float] | None = None,
        restore: bool | None = None,
        series: bool | str | None = None,
        neighbours: int | None = None,
        seed: int = 0,
        **described: Any,
    ) -> None:
        """`described`: the keys that stand beside the others in conf: the store's, and colours."""
        super().__init__()
        fit, size = described.get("fit", "crop"), one_size(size)
        check(described, view, source, target, degradation)
        check_beside(degradation, fit, mask=mask, low=low, neighbours=neighbours)
        check_sizes(size, train_size, augment, resident, view, fit)
        self.store, self.source, self.target, self.extra = store, source, target, list(extra)
        self.size, self.view, self.flip, self.seed = size, view, flip, seed
        self.batch_size = at_once(batch_size)
        self.eval_batch_size = eval_batch_size or self.batch_size
        self.num_workers = min(num_workers, cores())
        self.limit, self.train_limit = limit, train_limit
        self.degradation, self.fit = degradation, fit
        self.colours: str | None = described.get("colours")  # of previews
        self.channels, self.range = channels, None if range is None else list(range)
        self.whole, self.resident = fit in WHOLE, resident
        self.restore = self.whole if restore is None else restore
        self.cut = cut_of(described.get("axis"), described.get("slices"), channels)
        self.keys = Keys(series)  # of the noise of images to translate
        self.single = is_picture(source if degradation is None else target, store)
        self.train_size, self.augment = one_size(train_size or size), augment
        self.held: Resident | None = None
        self.beside = conditions(mask, low, neighbours, size, fit)
        self.mine: Callable[[str], bool] = lambda name: True  # of the images to translate
        self.opened: dict[tuple[str, str, Size], Images] = {}

    @property
    def domains(self) -> list[str]:
        """Source, extra domains, target: the order of the classifier's labels."""
        return [self.source, *self.extra, self.target]

    @property
    def names(self) -> list[str]:
        """Short names of `domains`, for legends and folders."""
        return [Path(domain).stem for domain in self.domains]

    def images(self, domain: str, split: str, size: Size | None = None) -> Images:
        """Pictures of a domain by its name, opened once."""
        if not self.opened and self.degradation is None and not self.single:
            # Only stores of files can hold one thing under two names.
            getattr(self.store, "refuse_alike", lambda domains: None)(self.domains)
        key = domain, split, size or self.size
        if key not in self.opened:
            self.opened[key] = (
                one_picture(domain, key[2], self.fit, self.channels, range_of(self.range), self.cut)
                if is_picture(domain, self.store)
                else getattr(self.store, "unseen", self.store.images)(*key)
            )
        return self.opened[key]

    def settle(self, ends: Sequence[float]) -> None:
        """The range of the pixels, where it was not given: measured, or that of the weights."""
        self.range, self.opened = list(ends), {}
        getattr(self.store, "settle", lambda ends: None)(ends)

    def writer(self, split: str) -> Writer:
        """How translations are written: like their sources, where these are files."""
        domain = self.source if self.degradation is None else self.target
        images: Any = self.images(domain, split)
        return Alike(images, self.restore) if hasattr(images, "source") else Pngs()

    def domain(self, which: str, split: str, limit: int | None = None) -> Pictures:
        """Dataset of dict(id, image) of "source" or "target", looked at; `limit` of them.
        ValueError for another name."""
        if which not in ("source", "target"):
            raise ValueError(f"domain {which!r} is unknown; use source or target")
        images = self.images(self.source if which == "source" else self.target, split)
        chosen = spread(len(images.ids), limit)
        look(images, chosen)
        return Pictures(images if limit is None else Subset(images, chosen))

    def viewed(self, split: str) -> View:
        """The training view of one split, looked at."""
        view: View = VIEWS[self.view](self.shown(split))
        view = beside_each(view, self.beside.get("neighbours"))
        rank, world = self.rank_and_world()
        for images in view.domains:
            every = range(len(images.ids))
            look(images, every, every[rank::world] if self.trainer is not None else ())
        return view

    def shown(self, split: str) -> list[Images]:
        """The domains that the view of a split shows, all or `train_limit` images of each."""
        needed = self.domains[-1:] if self.view == "target" else self.domains
        if self.degradation is not None and self.view in ("both", "paired"):
            needed = [self.target, self.target]  # x is degraded on its way to the model
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
        return loader_options(self.num_workers)

    def train_dataloader(self) -> ResumableLoader:
        view = self.viewed("train")
        if min(view.sizes) == 1:
            rank_zero_warn("the training has 1 image of a domain and can only learn it by heart")
        self.held = Resident(view) if self.resident else None
        loaded = self.held or view
        rank, world = self.rank_and_world()
        batches = Batches(
            view.sizes, view.counts(self.batch_size), seed=self.seed, rank=rank, world=world,
            flip=self.flip, start=lambda: batches_trained(self.trainer),
            places=self.fit == "random_crop")  # fmt: skip
        return ResumableLoader(
            loaded,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=loaded.collate,
            **self.loader_options(),
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """In training pixels from places, then the augmentation; in both what is left of x."""
        if (trainer := self.trainer) is None or not trainer.training:
            return degraded(batch, self.degradation, self.seed)
        if self.held is not None:
            batch = self.held.shown(batch)
        step = trainer.fit_loop.total_batch_idx
        if self.augment is not None:
            key, place = (self.seed, "augment", step), self.rank_and_world()
            batch = augmented(batch, self.augment, key, self.view == "paired", *place)
        return Shown(degraded(batch, self.degradation, self.seed, step), self.view)

    def val_dataloader(self) -> DataLoader:
        view = self.viewed("val")
        rank, world = self.rank_and_world()
        return Loader(
            view,  # type: ignore[arg-type]
            batch_sampler=validated(view, self.eval_batch_size, rank, world),
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
        images, size = self.translations(split), batch_size or self.eval_batch_size
        mine, every = shard(len(images), rank, world), images.dataset
        every.look(images.indices, [images.indices[i] for i in mine])  # type: ignore[attr-defined]
        shown: Any = getattr(every, "source", None) or getattr(every, "images", None)
        sides = [shown.side(images.indices[i]) if self.whole else (0, 0) for i in mine]
        batches: Any = of_one_shape(mine, sides, size)
        return Loader(images, batch_sampler=batches, **self.loader_options())
