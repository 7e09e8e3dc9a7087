"""What both entry points share: the run's folder, its plain configuration, closing loggers."""

from __future__ import annotations

import contextlib
import gc
import logging
import platform
import re
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf, open_dict

import egsde
from egsde.disk import remove_empty, whole
from egsde.programs.callbacks.interrupts import Stopped
from egsde.programs.callbacks.same_run import say_where
from egsde.programs.checks import check
from egsde.programs.ended import Ended, again, tell
from egsde.programs.folders import refuse_elsewhere
from egsde.programs.foreign import check_trust
from egsde.programs.messages import lost_worker, readable
from egsde.programs.secrets import recorded
from egsde.programs.sweep import Table

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
PLACES = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn")
PACKAGES = ("torch", "lightning", "torchmetrics", "torch-fidelity", "hydra-core", "numpy", "pillow")


def prepare(
    cfg: DictConfig, program: str, settle: Callable[[DictConfig], None] | None = None
) -> tuple[Path, dict[str, Any]]:
    """The run's folder, also written into cfg.out, and the configuration as it is recorded.

    settle: writes into a configuration that was checked what follows from it.

    ValueError for a configuration that cannot run (`check`), a sweep in one process over jobs that
    start several, and where a file allows.
    """
    quiet()
    node = cfg._get_node("out")  # as it was written: asked for, it would be made
    written = None if node is None else node._value()
    if HydraConfig.initialized():
        with open_dict(cfg):  # before anything asks for the default one
            cfg.out = HydraConfig.get().runtime.output_dir
            if HydraConfig.get().mode == RunMode.MULTIRUN and cfg.get("shard") is not None:
                remove_empty(Path(cfg.out))
                cfg.out = HydraConfig.get().sweep.dir  # a sweep over shards shares one folder
        check_trust(cfg)
    if (named := "null" if written is None else str(written).strip()) in ("", "null"):
        raise ValueError(
            f"out={named} names no folder; was it a shell variable "
            "that is not set? Leave out= away for a folder of its own, or give one"
        )
    check(program, cfg, HydraConfig.get().overrides.task if HydraConfig.initialized() else ())
    if HydraConfig.initialized():
        hydra_cfg = HydraConfig.get()
        if hydra_cfg.mode == RunMode.MULTIRUN and _several(cfg.trainer):
            raise ValueError(
                "a sweep cannot start several processes a job from its own process; add "
                "hydra/launcher=subprocess, which runs each job as a process of its own"
            )
    if settle is not None:
        settle(cfg)
    out = Path(cfg.out)
    config = recorded(cfg)
    refuse_elsewhere(config, out)
    return out, config


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
    with whole(path) as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))


def given() -> list[str]:
    """The keys that the command line sets."""
    task = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    return [re.split(r"[=@]", override.lstrip("+~"))[0].replace("/", ".") for override in task]


def command(program: str, out: Path) -> str | None:
    """The command line that repeats a run, as the person has written it; None where Python has
    started it."""
    if not HydraConfig.initialized():
        return None
    task = [o for o in HydraConfig.get().overrides.task if not o.startswith("out=")]
    words = sys.argv[1:]
    given = [w for flag, value in pairwise([*words, ""]) if flag in PLACES for w in (flag, value)]
    given += [word for word in words if word.startswith(tuple(f"{flag}=" for flag in PLACES))]
    return shlex.join(["python", f"{program}.py", *given, *task, f"out={out}"])


def stopped(out: Path, error: Stopped | Ended, standing: str, trainer: Trainer) -> NoReturn:
    """Say in two lines where a run stands and how it goes on; leave with the signal's code.

    Other processes have a minute to stop, or seconds where they have not met, and wait for that.
    """
    Ended.note(error.signum)
    procs = getattr(trainer.strategy.launcher, "procs", [])
    if not error.heard:
        for process in procs:
            with contextlib.suppress(OSError):
                process.send_signal(error.signum)
    for process in procs:
        try:
            process.wait(60 if torch.distributed.is_initialized() else 5)
        except subprocess.TimeoutExpired:
            process.kill()
    if trainer.is_global_zero:
        Table.show_last()  # of a sweep; what it says of going on comes last
        tell(error, standing, out)
        raise SystemExit(error.code)
    raise SystemExit(0)  # of several processes the first one tells


def _of_a_lost_process(trainer: Trainer, error: BaseException) -> str | None:
    """Which process has died, if that is what an error comes from: one that says more has not."""
    if (lost := lost_worker(error)) is not None or readable(error) is not None:
        return lost
    end = time.monotonic() + 2
    for rank, process in enumerate(getattr(trainer.strategy.launcher, "procs", []), 1):
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(max(0, end - time.monotonic()))
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                return f"process {rank} of {trainer.world_size} has ended with {how}"
    return None


@contextlib.contextmanager
def together(trainer: Trainer, out: Path, standing: Callable[[], str]) -> Iterator[None]:
    """Inside, a signal stops all processes, and a lost one is told as ValueError, both with where
    the work stands and how it goes on."""
    try:
        yield
    except (Stopped, Ended) as error:
        stopped(out, error, standing(), trainer)
    except Exception as error:
        if (lost := _of_a_lost_process(trainer, error)) is None:
            raise
        raise ValueError(f"{lost}; {standing()}. It goes on with: {again(out)}") from None


def versions() -> dict[str, str]:
    """The versions that can change a result."""
    ours = {"egsde": egsde.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in PACKAGES}


@contextlib.contextmanager
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

                if wandb.run is not None:
                    say_where(wandb.run)
                wandb.finish(exit_code=int(failed))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
