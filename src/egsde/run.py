"""What both entry points share: the run's folder, its plain configuration, loggers that get closed."""

from __future__ import annotations

import gc
import platform
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

PACKAGES = ("torch", "lightning", "torchmetrics", "torch-fidelity", "hydra-core", "numpy", "pillow")


def prepare(cfg: DictConfig) -> tuple[Path, dict[str, Any]]:
    """The run's folder, also written into cfg.out, and the configuration as plain values.

    ValueError for a sweep in one process over jobs that start several.
    """
    if HydraConfig.initialized():
        hydra_cfg = HydraConfig.get()
        with open_dict(cfg):
            cfg.out = hydra_cfg.runtime.output_dir
        in_process = hydra_cfg.mode == RunMode.MULTIRUN and not hydra_cfg.launcher[
            "_target_"
        ].endswith("SubprocessLauncher")
        if in_process and str(cfg.trainer.get("strategy", "auto")).startswith("ddp"):
            raise ValueError(
                "a sweep cannot start several processes a job from its own process; add "
                "hydra/launcher=subprocess, which runs each job as a process of its own"
            )
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    return out, OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def save_yaml(path: Path, config: dict[str, Any]) -> None:
    """Write a plain configuration, readable by Hydra and by people."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    ours = {"egsde": egsde.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in PACKAGES}


@contextmanager
def closing(loggers: Sequence[Logger]) -> Iterator[None]:
    """Finish W&B runs and free memory whatever happens, so that the next job of a sweep is clean."""
    try:
        yield
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                import wandb

                wandb.finish()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
