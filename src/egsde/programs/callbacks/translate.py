"""Translate images, write them, measure them: the same code while training and from sample.py.

Every rank takes its own images and none twice. An image's PNG is written to a temporary name and
renamed, so a file that exists is complete, and a run that was cut goes on where it stopped. Ranks
meet once, when the numbers are gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

from egsde.data import TwoDomains, Written
from egsde.data.alike import Writer
from egsde.data.domains import spread
from egsde.data.series import noise_of
from egsde.disk import whole
from egsde.evaluation.metrics import Suite
from egsde.evaluation.reports import draw_grid
from egsde.methods.diffusion import Translator, networks_of, steps_of
from egsde.programs.callbacks.background import Background, background
from egsde.programs.callbacks.fitting import fitting
from egsde.programs.callbacks.interrupts import Interrupts
from egsde.programs.callbacks.made import Tally
from egsde.programs.callbacks.pictures import (
    log_image,
    log_table,
    shown_like,
    stacked,
)
from egsde.programs.callbacks.progress import Advance, images_bar, step_by_step
from egsde.programs.callbacks.reference import set_reference
from egsde.programs.callbacks.room import Room
from egsde.programs.callbacks.rows import ids_of, rows_of
from egsde.programs.callbacks.shelf import Seconds, Shelf
from egsde.programs.shards import Shard, refuse_missing
from egsde.training.ranks import all_gather, from_first, to_first


@dataclass
class Report:
    """What a translation run found: on every rank the same, `per_image` on the first alone.

    pictures: some images, evenly chosen, each dict(id, source, translation [, truth]) of uint8
    (3, H, W).
    """

    n: int
    seconds_per_image: float | None = None  # of all runs
    nfe: dict[str, float] = field(default_factory=dict)  # evaluations per image, of all runs
    per_image: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    colours: str | None = None  # of pictures of one channel

    @property
    def grid(self) -> Image.Image | None:
        """The pictures in columns; None where there are none."""
        kinds = [kind for kind in (self.pictures or [{}])[0] if kind != "id"]
        rows = {k: [p[k] for p in self.pictures] for k in kinds}
        return draw_grid(rows, colours=self.colours) if kinds else None


class Translate(Callback):
    """`metrics`: a Suite or None. `split`: what to translate. `columns`: images in the grid. At
    test time the module's own `translator` is used and images go to out/images, marked by `recipe`,
    the hash of what all images of a run share. `shard`: the part of them that is made, unmeasured.
    """

    def __init__(
        self,
        out: str | Path,
        seed: int = 0,
        split: str = "val",
        metrics: Suite | None = None,
        columns: int = 12,
        recipe: str = "",
        shard: Shard | None = None,
    ) -> None:
        self.out, self.seed, self.split = Path(out), seed, split
        self.metrics, self.columns = metrics, columns
        self.recipe, self.shard = recipe, shard
        self.report: Report | None = None
        self.interrupts, self.room = Interrupts(), Room()

    def on_test_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.interrupts.begin(trainer)

    def on_test_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.interrupts.end()

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self.interrupts.end()

    def on_test_epoch_end(self, trainer: Trainer, module: Any) -> None:
        suffix = self.shard.suffix if self.shard else ""
        ids = module.data.translatable(self.split).ids
        written = Written.of(self.out).naming(ids)
        shelf = Shelf(written, self.recipe, suffix, module.data.writer(self.split))
        self.report = self.run(trainer, module.translator, module.data, module.device, shelf)
        self._refuse_gone(trainer, ids_of(module.data, self.split), written)
        if self.shard is not None:
            return
        if trainer.is_global_zero and self.report.grid is not None:
            with whole(self.out / "grid.png") as temporary:
                self.report.grid.save(temporary, format="PNG")
            log_image(trainer, "grid", self.report.grid, 0)
            log_table(
                trainer, "images", rows_of(self.report.per_image, module.data, self.split, written)
            )
            for logger in trainer.loggers:
                logger.log_metrics(self.report.metrics, step=0)

    def _refuse_gone(self, trainer: Trainer, ids: Sequence[str], written: Written) -> None:
        """ValueError for files that were deleted in the meantime; each process looks at its own."""
        mine = ids[trainer.global_rank :: trainer.world_size]
        gone = [name for name in mine if not written.path(name).is_file()]
        every = [name for part in all_gather(gone) for name in part]
        refuse_missing(every, len(ids), self.shard.count if self.shard else None)

    def run(
        self,
        trainer: Trainer,
        translator: Translator,
        data: TwoDomains,
        device: torch.device,
        shelf: Shelf | None,
        shown: bool = True,
    ) -> Report:
        """Translate this rank's share of the split, onto the shelf if there is one. shown: the
        first rank tells how far it is."""
        shown = shown and trainer.is_global_zero
        loader = data.translation_loader(self.split, trainer.global_rank, trainer.world_size)
        writer = data.writer(self.split) if shelf is None else shelf.writer
        self.noise = partial(noise_of, data, self.seed, self.split)
        if self.metrics is not None:
            self.metrics.start(device)
        names = ids_of(data, self.split)
        wanted = [names[i] for i in spread(len(names), self.columns)]
        kept: list[dict[str, Any]] = []
        made = Tally(networks_of(translator))
        total = len(names)
        share = len(range(trainer.global_rank, total, trainer.world_size))
        with images_bar(share, shown) as counted, background() as files:

            def advance(images: float) -> None:
                self.interrupts.check()
                counted(images)

            for batch in loader:
                y = self._translate(translator, batch, device, writer, shelf, files, made, advance)
                made.deep |= y.dtype != torch.uint8
                x0 = shown_like(batch["x0"], y)
                truth = shown_like(batch["truth"], y) if "truth" in batch else None
                if self.metrics is not None:
                    self.metrics.update(batch["id"], y, x0, truth)
                kinds = {"source": x0, "translation": y, "truth": truth}
                for b, name in enumerate(batch["id"]):
                    if name in wanted:
                        shown_kinds = {k: v[b] for k, v in kinds.items() if v is not None}
                        kept.append(shown_kinds | {"id": name})
        if shelf is not None:
            made.warn()
        report = self._gather(trainer, data, kept, wanted, made, total, shown)
        if shelf is not None:
            report.seconds_per_image = Seconds(self.out).mean(names)
        return report

    def _translate(
        self,
        translator: Translator,
        batch: dict[str, Any],
        device: torch.device,
        writer: Writer,
        shelf: Shelf | None,
        files: Background,
        made: Tally,
        advance: Advance,
    ) -> Tensor:
        """Translations as saved; those that lie on the shelf are read, not made again."""
        ids = batch["id"]
        tensors = {k: v for k, v in batch.items() if isinstance(v, Tensor) and k != "truth"}
        inputs = [{k: v[b] for k, v in tensors.items()} for b in range(len(ids))]
        y: dict[int, Tensor] = {}
        missing = []
        for b, name in enumerate(ids):
            found = shelf.load(name, inputs[b]) if shelf is not None else None
            if found is None:
                missing.append(b)
                if shelf is not None and shelf.path(name).exists():
                    made.stale.append(name)
                continue
            y[b], nfe = found
            made.add(1, nfe)
        advance(len(ids) - len(missing))

        def make(places: Sequence[int]) -> None:
            cond = {k: v[torch.as_tensor(places)].to(device) for k, v in tensors.items()}
            x0, chosen = cond.pop("x0"), [ids[b] for b in places]
            before, score = made.seconds, made.networks.get("score")
            with (
                fitting(),
                made.count(len(places)) as nfe,
                step_by_step(score, steps_of(translator), len(places), advance),
            ):
                new = made.look_at(translator(x0, self.noise(chosen), **cond))
                done = [writer.made(*pair) for pair in zip(chosen, new, strict=True)]
            y.update((b, one.seen) for b, one in zip(places, done, strict=True))
            if shelf is not None:
                shelf.seconds.add(chosen, (made.seconds - before) / len(places))
                files.give(
                    [partial(shelf.save, ids[b], inputs[b], one, nfe)
                     for b, one in zip(places, done, strict=True)]
                )  # fmt: skip

        self.room.each(make, missing)
        return stacked([y[b] for b in range(len(ids))])

    def _gather(
        self, trainer: Trainer, data: TwoDomains, kept: list[dict[str, Any]], wanted: list[str],
        made: Tally, total: int, shown: bool,
    ) -> Report:  # fmt: skip
        parts = all_gather((kept, made.known, made.calls))
        pictures = sorted((p for r, *_ in parts for p in r), key=lambda p: wanted.index(p["id"]))
        report = Report(total, pictures=pictures, colours=data.colours)
        if known := sum(p[1] for p in parts):
            report.nfe = {n: sum(calls[n] for *_, calls in parts) / known for n in made.calls}
        if self.metrics is not None:
            check = self.interrupts.check
            set_reference(self.metrics, trainer, data, self.split, check, shown, made.deep)
            with images_bar(total, shown, doing="measuring"):
                found = self.metrics.compute(to_first)
            numbers = {key: found[key] for key in ("metrics", "intervals", "protocol")}
            report.metrics, report.intervals, report.protocol = from_first(numbers).values()
            report.per_image = found["per_image"]
        return report
