"""A setting of a program with any kind of wrong value: what is answered, and what passes.

A value that is refused must be refused in words; one that passes must make the part it belongs to,
or fail in words there.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from egsde.programs.build import Parts
from egsde.programs.checks import ROOTS, check
from egsde.programs.messages import readable
from egsde.programs.values import referred

VALUES: dict[str, Any] = {
    "null": None, "true": True, "0": 0, "-1": -1, "2.5": 2.5, "1e30": 1e30, "10**12": 10**12,
    ".inf": float("inf"), ".nan": float("nan"), "word": "word", "''": "", "[]": [],
    "[1,a]": [1, "a"], "{a: 1}": {"a": 1}, "2024_01": "2024_01", "${nowhere}": "${nowhere}",
}  # fmt: skip


def answer(program: str, cfg: DictConfig, key: str, value: Any, build: bool = True) -> str | None:
    """What is told of a value; None where it passes. AssertionError: a traceback."""
    given = deepcopy(cfg)
    with open_dict(given):
        OmegaConf.update(given, key, value, merge=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(program, given, [])
            if not build:
                return None
            parts = Parts(given)
            top = key.split(".")[0]
            for root in ROOTS[program]:
                if root == top or top in referred(given, root):
                    if root != "trainer":
                        parts(root)
                    else:
                        parts(root, logger=[], callbacks=[], enable_progress_bar=False)
    except Exception as error:
        told = readable(error, program)
        assert told is not None, f"{program} {key}={value!r}: {type(error).__name__}: {error}"
        return told
    return None
