"""A run of a file given back: what it may name, before anything is made and while parts are.

A value may become another between the two, as ${oc.env:NAME} does once Lightning sets NAME.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from egsde.programs.secrets import resolved
from egsde.programs.settings import CONF
from egsde.programs.trusted import check_allow, check_names, nodes
from egsde.scores.blueprints import prefixes

ALLOW = re.compile(r"\+{0,2}allow=").match
OF_WANDB = {"_target_", "init_timeout", "silent"}  # its other settings name servers, keys and files
OF_LOGGER = {
    "_target_",
    "out",
    "id",
    "name",
    "group",
    "job_type",
    "tags",
    "project",
    "offline",
    "resume",
    "settings",
}  # others go to wandb.init: entity is whose the data are


def file_given_back() -> str | None:
    """Where it lies; None for a run of our own conf, or without a command line."""
    if not HydraConfig.initialized():
        return None
    hydra_cfg = HydraConfig.get()
    main = [s.path for s in hydra_cfg.runtime.config_sources if s.provider == "main"]
    return None if main == [str(CONF)] else f"{', '.join(main)}/{hydra_cfg.job.config_name}"


def allowed(cfg: DictConfig) -> tuple[str, ...]:
    """The packages that the command line allows."""
    given = any(map(ALLOW, HydraConfig.get().overrides.task))
    return prefixes(cfg.get("allow")) if given else ()


def check_trust(cfg: DictConfig) -> None:
    """ValueError where a file allows packages, or one given back names others than conf."""
    leave, file = allowed(cfg), file_given_back()
    try:
        plain = resolved(cfg)
    except OmegaConfBaseException:
        if file is not None:
            raise
        return  # told better where it is read
    check_allow(plain, leave)
    if file is not None:
        _check(plain, leave, file)


def check_part(cfg: DictConfig, target: Any, options: Mapping[str, Any]) -> None:
    """`check_trust` of a part that is about to be made."""
    if (file := file_given_back()) is not None:
        leave = allowed(cfg)
        _check({"_target_": target}, leave, file)
        check_allow({k: v for k, v in options.items() if k == "allow"}, leave)


def _check(node: Any, leave: tuple[str, ...], file: str) -> None:
    try:
        check_names(node, leave)
        if "wandb" not in leave:
            _check_wandb(node)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _check_wandb(node: Any) -> None:
    """ValueError for settings of W&B that conf does not set: base_url is where its key is sent."""
    for _, part in nodes(node):
        if not isinstance(part, Mapping):
            continue
        of_logger = str(part.get("_target_")).endswith("same_run")
        of_settings = str(part.get("_target_")).endswith("wandb.Settings")
        if of_logger and isinstance(part.get("settings"), Mapping):
            _check_wandb({"settings": {"_target_": "wandb.Settings", **part["settings"]}})
        known = OF_LOGGER if of_logger else OF_WANDB if of_settings else set(map(str, part))
        for key in sorted(set(map(str, part)) - known):
            raise ValueError(
                f"it sets {key} of W&B, whose settings say where your key and data are sent; "
                "if you trust the file, add allow=[wandb]"
            )
