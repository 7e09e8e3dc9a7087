"""The command lines of train.py and sample.py: Hydra finds the configuration, errors stay readable.

Nothing heavy is imported before the configuration is known, so --help and mistakes answer at once.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

HERE = Path(__file__).parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parents[1] / "conf"


def train() -> None:
    """`python train.py`, `egsde-train`."""
    _run("train", lambda: __import__("egsde.train", fromlist=["train"]).train)


def sample() -> None:
    """`python sample.py`, `egsde-sample`."""
    _run("sample", lambda: __import__("egsde.sample", fromlist=["sample"]).sample)


def _run(name: str, load: Callable[[], Callable[[DictConfig], Any]]) -> None:
    def job(cfg: DictConfig) -> Any:
        try:
            return load()(cfg)
        except (ValueError, FileNotFoundError) as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            print(f"error: {error}\n(HYDRA_FULL_ERROR=1 shows where)", file=sys.stderr)
            sys.exit(1)

    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
    except SystemExit as stop:
        if stop.code == 1:
            _suggest(name, sys.argv[1:])
        raise


def _suggest(name: str, overrides: list[str]) -> None:
    """For every override of an unknown key, print the keys that look like it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(name, return_hydra_config=True)
    known = _keys(OmegaConf.to_container(cfg, resolve=False)) + _groups()
    for override in overrides:
        key = override.split("=", 1)[0].split("@")[0].lstrip("+~")
        if "=" not in override or override.startswith(("+", "-")) or key in known:
            continue
        close = difflib.get_close_matches(key, known, n=4, cutoff=0.6)
        same_name = [k for k in known if k.split(".")[-1] == key.split(".")[-1]]
        if near := list(dict.fromkeys(close + same_name))[:6]:
            print(f"{key} is not a key; did you mean: {', '.join(near)}?", file=sys.stderr)
        else:
            print(f"{key} is not a key; --help lists all", file=sys.stderr)


def _keys(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    names = []
    for key, value in node.items():
        names += [f"{prefix}{key}", *_keys(value, f"{prefix}{key}.")]
    return names


def _groups() -> list[str]:
    return [str(d.relative_to(CONF)) for d in CONF.rglob("*") if d.is_dir()]
