"""Small runs: configurations composed as on the command line, trained or translated in process."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from egsde.cli import CONF

# A network of one level, a few images of 16 pixels, metrics without Inception.
TRAIN = [
    "network.num_channels=32",
    "network.channel_mult=[1]",
    "network.num_head_channels=32",
    "data.size=16",
    "data.batch_size=4",
    "data.limit=3",
    "limit=30",
    "trainer.accelerator=cpu",
    "trainer.max_steps=6",
    "trainer.val_check_interval=3",
    "trainer.log_every_n_steps=1",
    "+trainer.limit_val_batches=2",
    "callbacks.previews.previews.sampler.grid.steps=4",
]
SAMPLE = [
    "experiment=null",
    "data.size=16",
    "sampler.grid.steps=4",
    "limit=3",
    "metrics=pairwise",
    "trainer.accelerator=cpu",
    "energy.terms.faithfulness.factor=4",
]


def composed(name: str, out: Path | str, *overrides: str) -> DictConfig:
    """The configuration of `python {name}.py overrides`, with `out` as its folder."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(name, list(overrides))
    with open_dict(cfg):
        cfg.out = str(out)
    return cfg


def trained(out: Path, *overrides: str) -> float | None:
    """A tiny training run in this process."""
    from egsde.train import train

    return train(composed("train", out, *TRAIN, *overrides))


def rows(out: Path) -> list[dict[str, Any]]:
    """metrics.csv, the empty cells left out."""
    with (out / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
