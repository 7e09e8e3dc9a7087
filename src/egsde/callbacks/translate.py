"""Translate images, write them, measure them: the same code while training and from sample.py.

Every rank takes its own images and none twice. An image's PNG is written to a temporary name and
renamed, so a file that exists is complete, and a run that was cut goes on where it stopped. Ranks
meet once, when the numbers are gathered.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor

from egsde.callbacks.pictures import load_png, log_image, log_table, save_png, to_uint8
from egsde.callbacks.progress import Advance, images_bar, step_by_step
from egsde.data import UnpairedData, output_name
from egsde.metrics import Suite
from egsde.noise import Noise
from egsde.reports import draw_grid
from egsde.translators import Translator, networks_of

LOST = 10.0  # images are in [-1, 1]; what is this far outside is no image any more


def all_gather(value: Any) -> list[Any]:
    """The values of all processes; alone, a list of one."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


@dataclass
class Report:
    """What a translation run found: on every rank the same."""

    n: int
    translated: int  # images made now, not found from an earlier run
    seconds: float  # making them, summed over ranks
    nfe: dict[str, float] = field(default_factory=dict)  # evaluations per image, of all runs
    per_image: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    grid: Image.Image | None = None


class Made:
    """Counts the images made on this rank, the seconds, and each network's evaluations of them."""

    def __init__(self, networks: Mapping[str, Any]) -> None:
        self.networks = networks
        self.images, self.seconds, self.lost, self.known = 0, 0.0, 0, 0
        self.calls = dict.fromkeys(networks, 0)

    @contextmanager
    def count(self, images: int) -> Iterator[dict[str, int]]:
        """Time the making of these images; what is yielded then holds their evaluations."""
        before, began = {n: net.calls for n, net in self.networks.items()}, time.perf_counter()
        nfe: dict[str, int] = {}
        yield nfe
        self.seconds += time.perf_counter() - began
        self.images += images
        nfe |= {name: net.calls - before[name] for name, net in self.networks.items()}
        self.add(images, nfe)

    def add(self, images: int, nfe: Mapping[str, int]) -> None:
        """Images, made now or before, and the evaluations that each of them took."""
        self.known += images
        for name, calls in nfe.items():
            self.calls[name] += images * calls

    def look_at(self, y: Tensor) -> Tensor:
        """The same images; those with values beyond LOST, or none at all, are counted."""
        inside = (y.abs() <= LOST).flatten(1).all(1)
        self.lost += len(y) - int(inside.sum())
        return y

    def warn(self) -> None:
        """Say how many images were lost, if any."""
        if self.lost:
            warnings.warn(
                f"{self.lost} of {self.images} translations have values beyond {LOST:g} or NaN, "
                "where images are in [-1, 1]: the network is hardly trained, or the steps are too "
                "large for the energy. Use more of them (sampler.grid.steps), smaller "
                "energy.weights, or translator=egsde_fast, stable at any faithfulness",
                stacklevel=2,
            )


class Translate(Callback):
    """`previews`: a partial (score=...) -> translator for validation, drawn to out/previews.

    `metrics`: a Suite or None. `split`: what to translate. `columns`: images in the grid. At test
    time the module's own `translator` is used and images go to out/images.
    """

    def __init__(
        self,
        out: str | Path,
        seed: int = 0,
        split: str = "test",
        metrics: Suite | None = None,
        previews: Callable[..., Translator] | None = None,
        columns: int = 12,
    ) -> None:
        self.out, self.seed, self.split = Path(out), seed, split
        self.metrics, self.previews, self.columns = metrics, previews, columns
        self.report: Report | None = None

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self.previews is None or trainer.sanity_checking or not data.store.drawable:
            return
        translator = self.previews(score=module.averaged)
        report = self.run(trainer, translator, data, module.device, images=None)
        module.log_dict({f"val/{k}": v for k, v in report.metrics.items()}, rank_zero_only=True)
        if trainer.is_global_zero and report.grid is not None:
            folder = self.out / "previews"
            folder.mkdir(parents=True, exist_ok=True)
            report.grid.save(folder / f"step_{trainer.global_step:07d}.png")
            log_image(trainer, "previews", report.grid, trainer.global_step)

    def on_test_epoch_end(self, trainer: Trainer, module: Any) -> None:
        self.report = self.run(
            trainer, module.translator, module.data, module.device, images=self.out / "images"
        )
        if trainer.is_global_zero and self.report.grid is not None:
            self.report.grid.save(self.out / "grid.png")
            log_image(trainer, "grid", self.report.grid, 0)
            log_table(trainer, self.report.per_image, self.out / "images")
            for logger in trainer.loggers:
                logger.log_metrics(self.report.metrics, step=0)

    def run(
        self,
        trainer: Trainer,
        translator: Translator,
        data: UnpairedData,
        device: torch.device,
        images: Path | None,
    ) -> Report:
        """Translate this rank's share of the split, into the folder `images` if there is one."""
        loader = data.translation_loader(self.split, trainer.global_rank, trainer.world_size)
        if self.metrics is not None:
            self.metrics.start(device)
        kept: list[tuple[Tensor, ...]] = []
        made = Made(networks_of(translator))
        total = len(data.translations(self.split))
        share = len(range(trainer.global_rank, total, trainer.world_size))
        with images_bar(share, shown=images is not None and trainer.is_global_zero) as advance:
            for batch in loader:
                y = self._translate(translator, batch, device, images, made, advance)
                x0 = to_uint8(batch["x0"])
                truth = to_uint8(batch["truth"]) if "truth" in batch else None
                if self.metrics is not None:
                    self.metrics.update(batch["id"], y, x0, truth)
                parts = (x0, y) if truth is None else (x0, y, truth)
                if len(kept) < self.columns:
                    kept += list(zip(*parts, strict=True))[: self.columns - len(kept)]
        if images is not None:
            made.warn()
        return self._gather(trainer, data, kept, made, total, reference=images is not None)

    def _translate(
        self,
        translator: Translator,
        batch: dict[str, Any],
        device: torch.device,
        images: Path | None,
        made: Made,
        advance: Advance,
    ) -> Tensor:
        """uint8 translations of a batch; those that lie on the disk are read, not made again."""
        ids = batch["id"]
        paths = [images / output_name(i) for i in ids] if images is not None else []
        done = {b for b, path in enumerate(paths) if path.exists()}
        missing = [b for b in range(len(ids)) if b not in done]
        x0 = batch["x0"]
        y = torch.empty(x0.shape, dtype=torch.uint8)
        if missing:
            rows = torch.as_tensor(missing)
            tensors = {k: v[rows].to(device) for k, v in batch.items() if isinstance(v, Tensor)}
            x = tensors.pop("x0")
            tensors.pop("truth", None)
            noise = Noise(self.seed, [ids[b] for b in missing])
            score = made.networks["score"]
            with (
                made.count(len(missing)) as nfe,
                step_by_step(score, translator.steps, len(missing), advance),
            ):
                y[rows] = to_uint8(made.look_at(translator(x, noise, **tensors)))
            for b in missing if paths else ():
                save_png(y[b], paths[b], nfe)
        advance(len(done))
        for b in done:
            y[b], known = load_png(paths[b])
            if known is not None:
                made.add(1, known)
        return y

    def _gather(
        self,
        trainer: Trainer,
        data: UnpairedData,
        kept: list[tuple[Tensor, ...]],
        made: Made,
        total: int,
        reference: bool,
    ) -> Report:
        parts = all_gather((kept, made.images, made.seconds, made.known, made.calls))
        dealt = [rank[i] for i in range(self.columns) for rank, *_ in parts if i < len(rank)]
        columns = list(zip(*dealt[: self.columns], strict=True))
        rows = dict(zip(("source", "translation", "truth"), columns, strict=False))
        report = Report(total, sum(p[1] for p in parts), sum(p[2] for p in parts))
        if known := sum(p[3] for p in parts):
            report.nfe = {n: sum(calls[n] for *_, calls in parts) / known for n in made.calls}
        report.grid = draw_grid(rows) if rows else None
        if self.metrics is not None:
            if reference:
                self._set_reference(trainer, data)
            found = self.metrics.compute(all_gather)
            report.metrics, report.protocol = found["metrics"], found["protocol"]
            report.per_image = found["per_image"]
        return report

    def _set_reference(self, trainer: Trainer, data: UnpairedData) -> None:
        """Real images of both domains, the source those that are translated; once a run."""
        assert self.metrics is not None
        split = self.metrics.protocol.reference_split
        key = f"{type(data.store).__name__.lower()}-{data.size}-{'-'.join(data.names)}-{split}"
        rank, world = trainer.global_rank, trainer.world_size
        if not self.metrics.has_reference(key):
            target = shared_out(data.domain("target", split), "image", rank, world)
            source = shared_out(data.translations(self.split), "x0", rank, world)
            self.metrics.set_reference(target, source, key=key, gather=all_gather)


def shared_out(dataset: Any, name: str, rank: int, world: int) -> Iterator[Tensor]:
    """One rank's images of a dataset as uint8 batches of one."""
    for i in range(rank, len(dataset), world):
        yield to_uint8(dataset[i][name])[None]
