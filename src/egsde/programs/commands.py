"""The command line that a run's record holds, before it is used again: it may come from anyone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from egsde.programs.line import demonstrated
from egsde.programs.remade import check_parts
from egsde.programs.settings import CONF
from egsde.programs.trusted import check_names

OWN = re.compile(r"-|[+~]*(allow|hydra)\b")  # what a person says, and no record


def check_command(words: Sequence[str]) -> None:
    """ValueError unless words of sample.py choose and set nothing but what conf names.

    Nothing is made of them here, and nothing in them is resolved.
    """
    for word in words:
        if OWN.match(word) or "${" in word:
            raise ValueError(
                f"{word!r:.80} is not taken from a record; load the run's networks in Python, "
                "egsde.load, which takes allow="
            )
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            cfg = compose("sample", [*demonstrated("sample", list(words)), *words])
        except HydraException as error:
            raise ValueError(f"it does not compose: {str(error).splitlines()[0]}") from error
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    check_names(plain)
    check_parts(plain)
