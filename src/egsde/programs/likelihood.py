"""One measurement of images under a score: compose, instantiate, bits per dimension, report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from egsde.data import TwoDomains
from egsde.data.domains import spread
from egsde.data.shards import shard
from egsde.data.workers import Loader
from egsde.methods.diffusion import networks_of
from egsde.networks import sha256_of
from egsde.noise import Noise
from egsde.programs.agreement import check_networks
from egsde.programs.build import Parts
from egsde.programs.callbacks.lost import Lost
from egsde.programs.callbacks.progress import images_bar, step_by_step
from egsde.programs.latents import refuse_latents
from egsde.programs.lock import held
from egsde.programs.objectives import check_objective, returned
from egsde.programs.records import claim, write_json
from egsde.programs.run import closing, prepare, together, versions
from egsde.programs.written import write_table
from egsde.training.ranks import all_gather


class Likelihood(Protocol):
    """Columns (B,) of what is measured, bits_per_dim first; `steps` evaluations are expected."""

    @property
    def steps(self) -> int: ...

    def __call__(self, x: Tensor, noise: Noise) -> dict[str, Tensor]: ...


class Evaluation(LightningModule):
    """A likelihood as a module, so that a Trainer places it on every device.

    Every rank measures images rank, rank + world, ...; `rows` are the images of all ranks, in the
    order of the data set.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        data: TwoDomains,
        *,
        domain: str,
        split: str,
        limit: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.likelihood, self.data, self.seed = likelihood, data, seed
        self.networks = nn.ModuleDict(networks_of(likelihood))
        images = data.domain(domain, split)
        self.images = Subset(images, spread(len(images), limit))
        self.rows: list[dict[str, Any]] = []

    def test_dataloader(self) -> DataLoader:
        return Loader(
            self.images,
            batch_size=self.data.eval_batch_size,
            sampler=self.mine or [0],  # type: ignore[arg-type]
            **self.data.loader_options(),
        )

    @property
    def mine(self) -> list[int]:
        """This rank's images; one that has none measures the first, to meet the others."""
        return shard(len(self.images), self.trainer.global_rank, self.trainer.world_size)

    def on_test_start(self) -> None:
        trainer, self.opened, self.began = self.trainer, ExitStack(), time.perf_counter()
        bar = images_bar(len(self.mine), shown=trainer.is_global_zero, doing="measuring")
        self.advance = self.opened.enter_context(bar)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        x, ids = batch["image"], batch["id"]
        score = self.networks["score"]
        with step_by_step(score, self.likelihood.steps, len(ids), self.advance):
            found = self.likelihood(x, Noise(self.seed, ids))
        self.rows += list(rows_of(ids, found))

    def on_test_end(self) -> None:
        self.opened.close()
        ranks = all_gather(self.rows[: len(self.mine)])
        turns = range(max(map(len, ranks)))
        self.rows = [rows[i] for i in turns for rows in ranks if i < len(rows)]
        self.seconds = time.perf_counter() - self.began


def rows_of(ids: list[str], found: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """One dict(id, ...) of numbers for each image."""
    columns = {name: column.tolist() for name, column in found.items()}
    for b, image in enumerate(ids):
        yield {"id": image, **{name: column[b] for name, column in columns.items()}}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over images, and the standard error of bits_per_dim."""
    names = [name for name in rows[0] if name != "id"]
    values = torch.tensor([[row[name] for name in names] for row in rows], dtype=torch.float64)
    means = dict(zip(names, values.mean(0).tolist(), strict=True))
    bits = values[:, names.index("bits_per_dim")]
    error = float(bits.std() / len(bits) ** 0.5) if len(bits) > 1 else float("nan")
    return {**means, "standard_error": error}


def likelihood(cfg: DictConfig) -> Any:
    """Bits per dimension of `cfg.split` of one domain; returns `cfg.objective`, for sweeps."""
    out, config = prepare(cfg, "likelihood")
    with held(out):
        claim(out, "evaluate.py")
        means = _measured(cfg, out, config)
    return returned(cfg.objective, means.get)


def _measured(cfg: DictConfig, out: Path, config: dict[str, Any]) -> dict[str, float]:
    seed_everything(cfg.seed, workers=True, verbose=False)
    parts = Parts(cfg)
    if names := getattr(parts("likelihood"), "names", None):
        check_objective(cfg.objective, [*names, "standard_error"])
    module = Evaluation(
        parts("likelihood"),
        parts("data"),
        domain=cfg.domain,
        split=cfg.split,
        limit=cfg.limit,
        seed=cfg.seed,
    )
    measured = module.data.source if cfg.domain == "source" else ""
    refuse_latents(module.networks.values())
    check_networks(module.networks.values(), module.data, check=cfg.check, also=measured)
    loggers = list(parts("logger").values())
    others = Lost(lambda: "nothing was measured")
    with closing(loggers):
        trainer: Trainer = parts(
            "trainer",
            logger=loggers,
            callbacks=[others],
            default_root_dir=out,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        others.watch(trainer)
        if trainer.is_global_zero:
            weights = {name: sha256_of(net) for name, net in module.networks.items()}
            record = {
                "program": "evaluate.py",
                "config": config,
                "versions": versions(),
                "weights": weights,
            }
            write_json(out / "run.json", record)
        with together(trainer, out, others.standing):
            trainer.test(module, verbose=False)
        means = summary(module.rows)
        if trainer.is_global_zero:
            for logger in loggers:
                logger.log_hyperparams(config)
                logger.log_metrics(means, step=0)
            write(out, module.rows, means, module.seconds)
    return means


def write(out: Path, rows: list[dict[str, Any]], means: dict[str, float], seconds: float) -> None:
    """images.csv, likelihood.json and the console."""
    write_table(out / "images.csv", rows)
    found = {"n": len(rows), "seconds_per_image": seconds / len(rows), "metrics": means}
    write_json(out / "likelihood.json", found)
    for name, value in means.items():
        print(f"{name:14s} {value:.4f}")
    print(f"{len(rows)} images; each one's numbers are in {out / 'images.csv'}")
