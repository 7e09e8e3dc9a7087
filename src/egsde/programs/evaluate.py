"""Measure any folder of translations beside sources, real images and truth: pairs and numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.utilities import rank_zero_warn
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader

from egsde.data.compared import Compared, compared, content_key
from egsde.data.exchanged import MOST, exchanged, thumbnail
from egsde.data.piles import Pile
from egsde.evaluation import runs
from egsde.evaluation.metrics import Flicker, Suite
from egsde.evaluation.metrics.features import as_bytes
from egsde.programs.build import Parts
from egsde.programs.callbacks.lost import Lost
from egsde.programs.callbacks.progress import images_bar
from egsde.programs.judged import add_judge, tell_size
from egsde.programs.lock import held
from egsde.programs.objectives import check_objective, returned
from egsde.programs.opened import opened
from egsde.programs.records import claim, refuse_inside, write_json
from egsde.programs.report import report, told
from egsde.programs.run import closing, prepare, together, versions
from egsde.programs.series import with_flicker
from egsde.programs.written import write_summary, write_table
from egsde.training.ranks import all_gather, from_first, to_first

FOLDERS = ("output", "source", "target", "truth")


class Measurement(LightningModule):
    """Folders and what is measured of them as a module, so that a Trainer has the processes.

    Every rank measures the images rank, rank + world, ... `found` is what `Suite.compute` gives,
    its rows on the first alone.
    """

    def __init__(self, folders: Compared, suite: Suite, flicker: Flicker) -> None:
        super().__init__()
        self.folders, self.suite, self.flicker = folders, suite, flicker
        self.found: dict[str, Any] = {}

    def test_dataloader(self) -> DataLoader:
        return DataLoader([0])  # type: ignore[arg-type]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """All is done when the epoch ends."""

    def on_test_epoch_end(self) -> None:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        folders, suite = self.folders, self.suite
        suite.start(self.device)
        ids = folders.ids[rank::world]
        for name in shown(ids, "measuring", rank):
            y, x0, truth = folders.item(name)
            suite.update([name], y, x0, truth)
        self._set_reference(rank, world)
        found = suite.compute(to_first)
        found["per_image"] = self._add_flicker(found)
        numbers = {key: found[key] for key in ("metrics", "intervals", "protocol")}
        self.found = {**from_first(numbers), "per_image": found["per_image"]}

    def _add_flicker(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows with the flicker of series, each of which one process measures."""
        folders, rank, world = self.folders, self.trainer.global_rank, self.trainer.world_size
        if folders.source is None:
            return found["per_image"]

        def frame(name: str) -> tuple[Tensor, Tensor] | None:
            if name not in folders.outputs:
                return None
            y, x0, _ = folders.item(name)
            assert x0 is not None
            return y, x0

        every = self.flicker.series(folders.source.names)[rank::world]
        mine = dict(pair for names in every for pair in self.flicker.of(names, frame))
        values = {name: value for part in to_first(mine) for name, value in part.items()}
        return with_flicker(found["per_image"], values, folders.ids, found["metrics"])

    def _set_reference(self, rank: int, world: int) -> None:
        folders, suite = self.folders, self.suite
        if folders.target is None:
            return
        as_they_are = suite.protocol.as_they_are
        names = folders.target.names
        key = content_key(folders.target, names, f"{folders.size} {folders.fit} {as_they_are}")
        real = self._images(names[rank::world], lambda n: folders.real(n, as_they_are), "target")
        sources: Iterator[Tensor] = iter(())
        if folders.source is not None:
            sources = self._images(folders.ids[rank::world], self._source, "source")
        suite.set_reference(real, sources, key, gather=all_gather, collect=to_first)
        if folders.truth is None and (suite.each.pairwise or suite.each.single):
            for name, other in list(zip(folders.ids, names, strict=False))[rank::world]:
                x0 = None if folders.source is None else self._source(name)
                suite.add_floor(folders.real(other, as_they_are), x0)

    def _source(self, name: str) -> Tensor:
        x0 = self.folders.item(name)[1]
        assert x0 is not None
        return x0

    def _images(self, names: Sequence[str], of: Callable[[str], Tensor], what: str) -> Iterator:
        for name in shown(names, f"features of the {what}", self.trainer.global_rank):
            yield as_bytes(of(name))


def shown(names: Sequence[str], doing: str, rank: int) -> Iterator[str]:
    """The names, with a bar on the first process."""
    with images_bar(len(names), shown=rank == 0, doing=doing) as advance:
        for name in names:
            yield name
            advance(1)


def evaluate(cfg: DictConfig) -> Any:
    """Measure `cfg.output`; returns `cfg.objective`, for sweeps.

    ValueError where files are missing, belong to nothing, or cannot be read.
    """
    out, config = prepare(cfg, "evaluate")
    with held(out):
        claim(out, "evaluate.py")
        metrics = _measured(cfg, out, config)
    return returned(cfg.objective, metrics.get)


def _measured(cfg: DictConfig, out: Path, config: dict[str, Any]) -> dict[str, float]:
    seed_everything(0, workers=True, verbose=False)
    refuse_inside(out, [cfg[key] for key in FOLDERS if cfg[key] is not None], None)
    parts = Parts(cfg)
    suite = parts("metrics")
    if suite is None:
        raise ValueError("metrics=none measures nothing; leave it, or choose another")
    add_judge(suite, parts, cfg)
    if cfg.target is None:  # nothing to compare sets with, so no network is looked for
        suite.sets = replace(suite.sets, fid=False, kid=False, prc=False, isc=False)
    check_objective(cfg.objective, ["fid", "flicker", *suite.names])
    options = {key: cfg[key] for key in ("pattern", "split", "fit", "partial", "channels", "range")}
    folders = compared(cfg.output, *(cfg[key] for key in FOLDERS[1:]), **options)
    suite.check_channels(cfg.channels)
    flicker = Flicker(_in_series(cfg))
    _tell(folders)
    tell_size(cfg, folders.size)
    module = Measurement(folders, suite, flicker)
    loggers = list(parts("logger").values())
    others = Lost(lambda: "nothing was measured")
    with closing(loggers):
        trainer: Trainer = parts(
            "trainer", logger=loggers, callbacks=[others], default_root_dir=out,
            enable_progress_bar=False, enable_checkpointing=False,
        )  # fmt: skip
        others.watch(trainer)
        if trainer.is_global_zero:
            record = {"program": "evaluate.py", "config": config, "versions": versions()}
            write_json(out / "run.json", record)
        began = time.perf_counter()
        with together(trainer, out, others.standing):
            trainer.test(module, verbose=False)
        found = module.found
        if trainer.is_global_zero:
            for logger in loggers:
                logger.log_hyperparams(config)
                logger.log_metrics(found["metrics"], step=0)
            before = _of_the_run(cfg.output)
            numbers = {k: found[k] for k in ("protocol", "metrics", "intervals")}
            numbers["nfe"] = before.get("nfe", {})
            numbers["seconds_per_image"] = before.get("seconds_per_image")
            write_summary(out, found["per_image"], n=len(folders.ids), **numbers)
            write_table(out / "files.csv", folders.rows())
            seconds = time.perf_counter() - began
            print(f"{len(folders.ids)} images in {seconds:.0f} s; the numbers are in {out}")
            if cfg.report:
                print(told(report(opened(out), cfg.report)))
    return found["metrics"]


def _tell(folders: Compared) -> None:
    """What was done to pictures of different sizes, and what is not measured or means little."""
    for name in ("source", "target", "truth"):
        if (other := getattr(folders, name)) is not None and _same(folders.output, other):
            rank_zero_warn(f"{name} and output are the same files, which are alike in any measure")
    if folders.differ:
        rank_zero_warn(
            f"{folders.differ} of {len(folders.ids)} outputs are of another size than their "
            f"source: sources and truths are brought to the outputs' size (fit={folders.fit})"
        )
    if folders.source is not None and (rest := len(folders.source.names) - len(folders.ids)):
        rank_zero_warn(f"{rest} sources have no output and are left out")
    if folders.source is not None:
        ids = folders.ids[:MOST]
        outputs = [thumbnail(folders.output.shown(folders.outputs[name])) for name in ids]
        sources = [thumbnail(folders.source.shown(name)) for name in ids]
        if found := exchanged(ids, outputs, sources):
            one, other = next(iter(found.items()))
            rank_zero_warn(
                f"{len(found)} outputs look like translations of another source than their own, "
                f"such as that of {one}, like {other}'s: were names exchanged?"
            )


def _same(one: Pile, other: Pile) -> bool:
    """Whether two have the same files on the disk, the first of each standing for all."""
    a, b = (pile.files.size(pile.paths[pile.names[0]])[0] for pile in (one, other))
    return len(one.names) == len(other.names) and a == b


def _in_series(cfg: DictConfig) -> bool:
    """Whether the images of a folder are frames: as is said, or as a run of sample.py took them."""
    if cfg.series is not None:
        return bool(cfg.series)
    try:
        return (runs.load(cfg.output).config.get("data") or {}).get("series") is not None
    except ValueError:
        return False


def _of_the_run(output: str) -> dict[str, Any]:
    """Evaluations and seconds of the run of sample.py whose images these are, where they are."""
    try:
        return runs.load(output).summary
    except ValueError:
        return {}
