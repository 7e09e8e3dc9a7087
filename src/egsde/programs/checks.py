"""What is asked of a composed configuration before any work: a mistake is answered at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from omegaconf import DictConfig

from egsde.evaluation.reports.grid import check_colours
from egsde.programs import precision
from egsde.programs.line import one_of
from egsde.programs.messages import COMMANDS
from egsde.programs.needed import check_needed
from egsde.programs.unread import unread
from egsde.programs.values import check_values, referred

DEVICES = re.compile(r"-1|[1-9]\d*|\[\s*\d+(,\s*\d+)*,?\s*\]|\d+,(\s*\d+,?)*")
STARTED = (
    "MASTER_ADDR",
    "SLURM_JOB_ID",
    "TORCHELASTIC_RUN_ID",
    "LSB_JOBID",
    "NODE_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "KUBERNETES_PORT",
)  # what says of other machines
SPLITS = ("train", "val", "test", "all")
GENERAL: dict[str, dict[str, Any]] = {  # the keys beside the groups
    "train": {
        "seed": int,
        "limit": int | None,
        "compile": bool,
        "coupling_t_start": float,
        "init_weights": str | Mapping[str, str | None] | None,
        "resume": str | None,
        "objective": str | Sequence[str],
        "best": str | None,
        "t_start": float | None,
        "factor": int,
    },
    "sample": {
        "seed": int,
        "split": str,
        "t_start": float,
        "factor": int,
        "limit": int | None,
        "uncertainty": int | None,
        "outside": float | None,
        "columns": int,
        "report": int | None,
        "trajectory": int | None,
        "check": bool,
        "compile": bool,
        "shard": str | None,
        "objective": str | Sequence[str],
    },
    "evaluate": {
        "output": str,
        **dict.fromkeys(("source", "target", "truth", "pattern", "split"), str | None),
        "partial": bool,
        "series": bool | None,
        "fit": str,
        "channels": int,
        "range": Sequence[float] | None,
        "report": int | None,
        "objective": str | Sequence[str],
    },
    "likelihood": {
        "seed": int,
        "domain": str,
        "check": bool,
        "split": str,
        "limit": int | None,
        "objective": str | Sequence[str],
    },
    "export": {
        "seed": int,
        "weights": str | None,
        "format": str,
        "use": str,
        "licence": str | None,
        "t_start": float,
        "factor": int,
    },
}
ROOTS = {  # what each program builds
    "train": ("data", "module", "translate", "translator", "callbacks", "trainer", "logger"),
    "sample": ("data", "translator", "tiles", "metrics", "trainer", "logger"),
    "evaluate": ("metrics", "trainer", "logger"),
    "likelihood": ("data", "likelihood", "trainer", "logger"),
    "export": ("translator",),
}


def check(program: str, cfg: DictConfig, overrides: Iterable[str] = ()) -> None:
    """ValueError for what cannot run, in the words of the keys; reads nothing from the disk.

    overrides: the command line's, as they were written.
    """
    overrides = list(overrides)
    written = dict(o.lstrip("+").split("=", 1) for o in overrides if "=" in o)
    check_needed(program, cfg, GENERAL[program], overrides)
    check_values(cfg, GENERAL[program], ROOTS[program], written)
    for key in GENERAL[program]:
        if isinstance(cfg.get(key), str) and not cfg[key].strip():
            raise ValueError(f"{key}= is empty; was it a shell variable that is not set?")
    for name in ROOTS[program]:
        if not isinstance(cfg.get(name), DictConfig | None):
            raise ValueError(
                f"{name}={cfg[name]}, but a part is wanted, or null where it can be left out; a "
                f"setting of it is {name}.SETTING=VALUE"
            )
    for group in ("callbacks", "logger"):
        _parts(group, cfg.get(group))
    if cfg.get("split") is not None:
        one_of("split", cfg.split, SPLITS)
    if isinstance(cfg.get("data"), DictConfig):
        check_colours(cfg.data.get("colours"), cfg.data.get("channels", 3))
    if "domain" in cfg:
        one_of("domain", cfg.domain, ("source", "target"))
    _device(cfg.trainer)
    if cfg.trainer.get("overfit_batches"):
        raise ValueError(
            "trainer.overfit_batches would deal the images out itself; limit=8 trains on eight"
        )
    if program != "train":
        if cfg.trainer.get("limit_test_batches") is not None:
            raise ValueError(
                "trainer.limit_test_batches counts no images here; limit=8 takes eight of them"
            )
        parts = {*referred(cfg, *ROOTS[program]), *ROOTS[program]}
        precision.settle(COMMANDS.get(program, program), cfg, parts)
    else:
        precision.check_training(cfg)
        _validations(cfg.trainer.get("val_check_interval"))
        _duration(cfg.trainer.get("max_time"))
        least, most = cfg.trainer.get("min_steps"), cfg.trainer.get("max_steps")
        if least is not None and 0 < most < least:
            raise ValueError(f"trainer.min_steps={least} is more than trainer.max_steps={most}")
        if (together := cfg.trainer.get("accumulate_grad_batches", 1)) < 1:
            raise ValueError(
                f"trainer.accumulate_grad_batches={together} is too small; the least is 1"
            )
        if cfg.data.get("batch_size") == "auto":
            raise ValueError(
                "data.batch_size=auto is of translations, whose images do not depend on it; what "
                "is trained does: give a number, half of it where memory ends"
            )
    for told in unread(program, cfg, ROOTS[program], GENERAL[program], overrides):
        rank_zero_warn(told)


def _validations(every: Any) -> None:
    """Steps are counted and no epochs, of which it could be a share."""
    if isinstance(every, (int, float)) and (every < 1 or int(every) != every):
        raise ValueError(
            f"trainer.val_check_interval={every}, but a whole number of steps above 0 is wanted, "
            "or a time in quotes, 'DAYS:HOURS:MINUTES:SECONDS'"
        )


def _duration(time: Any) -> None:
    """As Lightning writes one; a dictionary of its own is left to it."""
    if isinstance(time, str) and not re.fullmatch(r"\d+(:\d\d){3}", time):
        raise ValueError(
            f"trainer.max_time={time}, but DAYS:HOURS:MINUTES:SECONDS in quotes is wanted: an hour "
            "is '+trainer.max_time=\"00:01:00:00\"'"
        )


def _parts(group: str, node: Any) -> None:
    """Of a group whose parts have names: each is one, or null."""
    for name, value in (node or {}).items():
        if not (value is None or (isinstance(value, DictConfig) and "_target_" in value)):
            raise ValueError(
                f"{group}.{name}={value}, but a part or null is wanted; null takes it away, and a "
                f"setting of it is {group}.{name}.SETTING=VALUE"
            )


def _device(trainer: DictConfig) -> None:
    nodes = trainer.get("num_nodes", 1)
    if isinstance(nodes, int) and nodes > 1 and not any(name in os.environ for name in STARTED):
        raise ValueError(
            f"trainer.num_nodes={nodes} would wait for other machines, and nothing says where they "
            "are: start it by srun or torchrun on each, or set MASTER_ADDR and NODE_RANK"
        )
    devices = str(trainer.get("devices", "auto"))
    if not DEVICES.fullmatch(devices) and devices not in ("auto", "None"):
        raise ValueError(
            f"trainer.devices={devices}, but a number of them, -1 for all, a list of their places "
            "such as [0,2], or auto is wanted"
        )
    asked = str(trainer.get("accelerator", "auto"))
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    counted = devices.isdecimal() or devices in ("auto", "None")
    if not counted and (asked == "cpu" or (asked == "auto" and not there)):
        raise ValueError(
            f"trainer.devices={devices} means GPUs, and this runs on the CPU; give a number of "
            "processes, such as trainer.devices=1"
        )
    if asked in ("gpu", "cuda") and not torch.cuda.is_available():
        if asked == "gpu" and torch.backends.mps.is_available():
            return
        raise ValueError(
            f"trainer.accelerator={asked}, but PyTorch sees no GPU; use trainer=default, which "
            "takes what is there, or install a PyTorch that is built for your GPU"
        )
