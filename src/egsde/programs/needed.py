"""Settings that were taken away though they are needed, or added though nothing reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egsde.programs.messages import COMMANDS
from egsde.programs.resumed import flat
from egsde.programs.settings import groups_of
from egsde.programs.texts import texts

ADDED = re.compile(r"\+{1,2}([A-Za-z_]\w*)(?=[=./@])")
OTHERS = {"hydra", "allow", "out", "hparams_search"}  # of every program


def check_needed(
    program: str, cfg: DictConfig, general: Iterable[str], overrides: Iterable[str]
) -> None:
    """ValueError for ~KEY of a key beside the groups, and for +KEY that nothing refers to.

    general: the keys beside the groups.
    """
    name = f"{COMMANDS.get(program, program)}.py"
    for override in overrides:
        key = override.lstrip("~").split("=")[0]
        if override.startswith("~") and key in {*general, "out"} and key not in cfg:
            raise ValueError(f"~{key} takes away what {name} needs; give it a value: {key}=VALUE")
        added = ADDED.match(override)
        if added is not None and not _known(program, cfg, general, added[1], overrides):
            raise ValueError(
                f"{override} has no effect: {name} has no {added[1]}, and nothing refers to "
                f"${{{added[1]}}}; --help lists what there is"
            )


def _known(
    program: str, cfg: DictConfig, general: Iterable[str], name: str, overrides: Iterable[str]
) -> bool:
    """Whether a top-level key is the program's, or holds more than was added, or is referred to."""
    groups = {group.split("/")[0] for group in groups_of(program)}
    if name in groups | OTHERS | {*general}:
        return True
    mine = [o for o in overrides if (found := ADDED.match(o)) is not None and found[1] == name]
    held: Any = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [name]), resolve=False)
    if len(flat(held)) > len(mine):
        return True
    asks = re.compile(rf"\$\{{[^}}]*\b{name}\b")
    return any(asks.search(text) for text in texts(cfg))
