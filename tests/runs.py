"""Small runs: configurations composed as on the command line, trained or translated in process."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, open_dict

from egsde.programs.cli import CONF

# A network of one level, a few images of 16 pixels, metrics without Inception.
TRAIN = [
    "network.num_channels=32",
    "network.channel_mult=[1]",
    "network.num_head_channels=32",
    "data.size=16",
    "data.batch_size=4",
    "limit=30",
    "trainer.accelerator=cpu",
    "trainer.max_steps=6",
    "trainer.val_check_interval=3",
    "trainer.log_every_n_steps=1",
    "+trainer.limit_val_batches=2",
    "translate.images=3",
    "sampler.grid.steps=4",
    "metrics=pairwise",
    "best=null",
]


def composed(name: str, out: Path | str, *overrides: str, hydra_too: bool = False) -> DictConfig:
    """The configuration of `python {name}.py overrides`, with `out` as its folder."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(name, list(overrides), return_hydra_config=hydra_too)
    with open_dict(cfg):
        cfg.out = str(out)
    return cfg


def trained(out: Path, *overrides: str, drop: tuple[str, ...] = ()) -> float | None:
    """A tiny training run in this process; `drop`: beginnings of options that do not apply."""
    from egsde.programs.train import train

    kept = [option for option in TRAIN if not option.startswith(drop)] if drop else TRAIN
    return train(composed("train", out, *kept, *overrides))


def rows(out: Path) -> list[dict[str, Any]]:
    """metrics.csv, the empty cells left out."""
    with (out / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def command(name: str, *arguments: str) -> int:
    """`python {name}.py arguments` in this process; its exit code."""
    from egsde.programs import cli

    GlobalHydra.instance().clear()
    before, sys.argv = sys.argv, [f"{name}.py", *arguments, "hydra/job_logging=none"]
    try:
        getattr(cli, name)()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
        GlobalHydra.instance().clear()
    return 0
