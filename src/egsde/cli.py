"""The command lines: Hydra finds the configuration of a program, errors stay readable.

Nothing heavy is imported before the configuration is known, so --help and mistakes answer at once.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

HERE = Path(__file__).parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parents[1] / "conf"
RESULT = "EGSDE_RESULT"  # where a job of hydra/launcher=subprocess leaves what it returned


def train() -> None:
    """`python train.py`, `egsde-train`."""
    _run("train", lambda: __import__("egsde.train", fromlist=["train"]).train)


def sample() -> None:
    """`python sample.py`, `egsde-sample`."""
    _run("sample", lambda: __import__("egsde.sample", fromlist=["sample"]).sample)


def evaluate() -> None:
    """`python evaluate.py`, `egsde-evaluate`."""
    _run("evaluate", lambda: __import__("egsde.evaluate", fromlist=["evaluate"]).evaluate)


def _run(name: str, load: Callable[[], Callable[[DictConfig], Any]]) -> None:
    composed = False

    def job(cfg: DictConfig) -> Any:
        nonlocal composed
        composed = True
        try:
            value = load()(cfg)
        except Exception as error:
            if (message := readable(error)) is None:
                raise
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # Hydra tells at the end of the sweep
                print(f"error: {message}", file=sys.stderr, flush=True)
            raise CompactHydraException(f"error: {message}") from error
        if RESULT in os.environ and os.environ.get("LOCAL_RANK", "0") == "0":
            Path(os.environ[RESULT]).write_text(json.dumps(value))
        return value

    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
    except SystemExit as stop:
        if stop.code == 1 and not composed:
            _suggest(name, sys.argv[1:])
        raise


def readable(error: BaseException) -> str | None:
    """What to tell about an error of a value or a file; None for one that deserves a traceback."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or error.key
        return f"{key} is not given; add {key}=..."
    if isinstance(error, (OmegaConfBaseException, InstantiationException)):
        return str(error)
    return str(error) if isinstance(error, (ValueError, FileNotFoundError)) else None


def _suggest(name: str, overrides: list[str]) -> None:
    """For every override of an unknown key, print the keys that look like it."""
    groups = [str(d.relative_to(CONF)) for d in CONF.rglob("*") if d.is_dir()]
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
