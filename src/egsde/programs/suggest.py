"""For keys that a command line has wrong, those that are near."""

from __future__ import annotations

import difflib
import sys
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from egsde.programs.settings import CONF, groups_of


def suggest(name: str, overrides: list[str]) -> None:
    """For every override of an unknown key, print the keys that look like it."""
    groups = groups_of(name)
    given = [o for o in overrides if "=" in o and not o.startswith(("+", "-", "~", "hydra"))]
    chosen = [o.split(",")[0] for o in given if o.split("=")[0].split("@")[0] in groups]
    try:
        known = [*_keys(name, chosen), *groups]
    except HydraException:  # Hydra has listed the options of a group
        return
    for override in given:
        key = override.split("=", 1)[0].split("@")[0]
        if key in known:
            continue
        close = difflib.get_close_matches(key, known, n=4, cutoff=0.6)
        same_name = [k for k in known if k.split(".")[-1] == key.split(".")[-1]]
        if near := list(dict.fromkeys(close + same_name))[:6]:
            print(f"{key} is not a key; did you mean: {', '.join(near)}?", file=sys.stderr)
        else:
            print(f"{key} is not a key; --help lists all", file=sys.stderr)


def _keys(name: str, chosen: list[str]) -> list[str]:
    """Every key of the configuration that the chosen group options make."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(name, chosen)

    def keys(node: Any, prefix: str = "") -> list[str]:
        inner = node.items() if isinstance(node, dict) else ()
        return [k for n, v in inner for k in (f"{prefix}{n}", *keys(v, f"{prefix}{n}."))]

    return keys(OmegaConf.to_container(cfg, resolve=False))
