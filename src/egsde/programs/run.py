"""What both entry points share: the run's folder, its plain configuration, closing loggers."""

from __future__ import annotations

import gc
import logging
import platform
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf, open_dict

import egsde
from egsde.programs.checks import check

# Lightning's remarks on what is meant to be so, and PyTorch's on Lightning's own code.
KNOWN = (
    ".*LeafSpec.*",
    "Found .* module.* in eval mode",
    "The number of training batches .* is smaller than the logging interval",
    ".*does not have many workers",
    ".*dataloader.*num_workers",
    "Checkpoint directory .* exists and is not empty",
    ".*`weights_only` was not set",
    ".*Trainer already configured with model summary",
    ".*GPU available but not used",
    "You called `self.log.*in your .* but have no logger configured",
)
ALLOW = re.compile(r"\+{0,2}allow=").match
PACKAGES = ("torch", "lightning", "torchmetrics", "torch-fidelity", "hydra-core", "numpy", "pillow")


def prepare(cfg: DictConfig, program: str) -> tuple[Path, dict[str, Any]]:
    """The run's folder, also written into cfg.out, and the configuration as plain values.

    ValueError for a configuration that cannot run (`check`), a sweep in one process over jobs that
    start several, and where a file allows.
    """
    quiet()
    check(program, cfg, HydraConfig.get().overrides.task if HydraConfig.initialized() else ())
    if HydraConfig.initialized():
        hydra_cfg = HydraConfig.get()
        with open_dict(cfg):
            cfg.out = hydra_cfg.runtime.output_dir
        if cfg.get("allow") and not any(map(ALLOW, hydra_cfg.overrides.task)):
            raise ValueError(f"allow={cfg.allow} stands in a file; give it on the command line")
        if hydra_cfg.mode == RunMode.MULTIRUN and _several(cfg.trainer):
            raise ValueError(
                "a sweep cannot start several processes a job from its own process; add "
                "hydra/launcher=subprocess, which runs each job as a process of its own"
            )
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    return out, OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def quiet() -> None:
    """Leave progress, results and warnings that matter on the console."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in KNOWN:
        warnings.filterwarnings("ignore", message)


def _several(trainer: DictConfig) -> bool:
    """Whether a Trainer of this configuration may start processes."""
    devices, nodes = str(trainer.get("devices", "auto")), trainer.get("num_nodes", 1)
    strategy = str(trainer.get("strategy", "auto"))
    return devices not in ("1", "auto") or nodes > 1 or strategy.startswith("ddp")


def save_yaml(path: Path, config: dict[str, Any]) -> None:
    """Write a plain configuration, readable by Hydra and by people."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    ours = {"egsde": egsde.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in PACKAGES}


@contextmanager
def closing(loggers: Sequence[Logger]) -> Iterator[None]:
    """Finish W&B runs and free memory whatever happens: the next job of a sweep starts clean."""
    failed = True
    try:
        yield
        failed = False
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                import wandb

                wandb.finish(exit_code=int(failed))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
