"""Settings of the command line that no part of this program, as it is composed, reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from omegaconf import DictConfig

from egsde.programs.idle import idle, weighed, weighing
from egsde.programs.messages import COMMANDS
from egsde.programs.needed import OTHERS
from egsde.programs.values import referred

HEAD = re.compile(r"[+~]*([\w/]+)(?:@([\w.]+))?((?:\.\w+)*)")
CHOICES = {"experiment", "settings", "demo", "model", "task", "data"}  # of other settings
VALUES = {"t_start", "factor", "coupling_t_start"}  # beside the groups, read by reference alone
NAMED = {"codec", "tiles"}  # which are asked for by name, where they are given
MEASURED = {  # what a Trainer reads that trains nothing
    *("_target_", "accelerator", "devices", "num_nodes", "strategy", "precision", "plugins"),
    *("deterministic", "benchmark", "inference_mode", "detect_anomaly", "profiler", "barebones"),
    *("fast_dev_run", "sync_batchnorm", "enable_model_summary", "use_distributed_sampler"),
}


def unread(
    program: str, cfg: DictConfig, roots: Iterable[str], general: Iterable[str],
    overrides: Iterable[str],
) -> list[str]:  # fmt: skip
    """What to say of each kind of them; see `check` for roots and general."""
    overrides = list(overrides)
    keys = dict.fromkeys(_keys(overrides))
    alone = idle(program, cfg, keys)
    cfg = weighed(cfg)
    roots = [n for n in roots if n != "translator" or cfg.get("translate", True) is not None]
    parts = {*referred(cfg, *roots), *roots, *NAMED, *_judging(program, cfg)}
    read = parts | ({*general, *OTHERS, *CHOICES} - VALUES)
    name, told = f"{COMMANDS.get(program, program)}.py", []
    names = dict.fromkeys(key.split(".")[0] for key in keys)
    if unused := [n for n in names if n not in read and _there(cfg, n)]:
        told.append(
            f"{' and '.join(unused)}: no effect, no part of this {name} reads it as it is "
            "composed; a translator's own settings are those of conf/translator, and "
            "metrics=domain has a judge"
        )
    fitting = [
        key for key in keys if re.match(r"trainer\.\w", key) and key.split(".")[1] not in MEASURED
    ]
    if program != "train" and fitting:
        told.append(f"{' and '.join(fitting)}: no effect, {name} trains nothing; train.py reads it")
    weights = weighing(cfg) if "energy" in parts else []
    return [*told, *alone, *weights, *_twice(overrides)]


def _twice(overrides: Iterable[str]) -> list[str]:
    """Of a setting that has several values the last one holds, as Hydra has it."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key, equals, value = override.lstrip("+").partition("=")
        if equals:
            values.setdefault(key, []).append(value)
    return [
        f"{key} is given {len(found)} times, and the last holds: {key}={found[-1]}"
        for key, found in values.items()
        if len(set(found)) > 1
    ]


def _there(cfg: DictConfig, name: str) -> bool:
    return (name in VALUES and name in cfg) or isinstance(cfg.get(name), DictConfig)


def _keys(overrides: Iterable[str]) -> Iterator[str]:
    """Where in the configuration each of them stands."""
    for override in overrides:
        taken = re.search(r"=(none|null)$", override)  # which is what an unread part comes to
        if not taken and (found := HEAD.match(override)):
            yield f"{found[2] or found[1].split('/')[0]}{found[3]}"


def _judging(program: str, cfg: DictConfig) -> set[str]:
    """Classifiers that are asked for by name."""
    if program == "sample":
        return {"judge"} if cfg.get("uncertainty") else set()
    return {"judge", "extractor"} if program in ("evaluate", "train") else set()
