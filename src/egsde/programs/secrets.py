"""Values of the environment stay where they are used: no file, logger or message repeats them.

What is written is the text ${oc.env:NAME} itself. The parts that a weights file cannot be opened
without are written in clear.
"""

from __future__ import annotations

import os
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from egsde.programs.texts import texts

NEEDED = ("network", "sde", "prediction", "allow")
NAMED = re.compile(r"\$\{oc\.env:\s*['\"]?(\w+)")
SHORTEST = 4  # characters of a value that is looked for in a message


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def recorded(cfg: DictConfig) -> dict[str, Any]:
    """The same as it may be written down."""
    plain = resolved(cfg)
    if not names_in(cfg):
        return plain
    OmegaConf.register_new_resolver("oc.env", _written, replace=True)
    try:
        hidden = resolved(cfg)
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
    return {**hidden, **{key: plain[key] for key in NEEDED if key in plain}}


def _written(key: str, default: Any = None) -> str:
    return f"${{oc.env:{key}}}" if default is None else f"${{oc.env:{key},{default}}}"


def names_in(cfg: DictConfig) -> set[str]:
    """The variables of the environment that a configuration reads."""
    return {name for text in texts(cfg) for name in NAMED.findall(text)}


def values_in(cfg: DictConfig) -> dict[str, str | None]:
    """Their values, for hashes alone."""
    return {name: os.environ.get(name) for name in sorted(names_in(cfg))}


def told(message: str, cfg: DictConfig) -> str:
    """A message with the names of these variables in place of their values."""
    values = {os.environ.get(name, ""): name for name in names_in(cfg)}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST:
            message = message.replace(value, f"${{oc.env:{values[value]}}}")
    return message
