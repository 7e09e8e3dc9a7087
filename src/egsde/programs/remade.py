"""A run's record before a translator or a data set is made of it: it may be anyone's.

Of what conf names (`trusted`) it may name what writes nothing, and its numbers and networks are
bounded before memory is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from egsde.networks.files import at_most
from egsde.programs.bounds import told
from egsde.programs.build import located
from egsde.programs.trusted import check_plain, nodes

APART = ("egsde.programs.", "egsde.training.", "lightning.", "wandb.", "torch.optim.")
OF_A_RUN = {"logger", "trainer", "callbacks", "module", "translate", "hydra"}
NETWORKS = "egsde.networks."
MOST, TENSORS = 2**30, 10**4  # numbers of a network, and their tensors; published ones have half


def check_remade(config: Any, keys: Iterable[str], allow: tuple[str, ...]) -> None:
    """ValueError where a record lacks one of these parts, is not plain, or `check_parts` finds
    fault."""
    if not isinstance(config, dict) or not all(isinstance(config.get(k), dict) for k in keys):
        raise ValueError(f"it holds no configuration with {' and '.join(keys)}")
    check_plain(config, allow)
    check_parts(config)


def check_parts(config: Mapping[str, Any]) -> None:
    """ValueError where a part of a configuration that a translation is made of, or what it refers
    to, would write files, or take more memory than a translation does."""
    for key in set(map(str, config)) - OF_A_RUN:
        for place, part in nodes(config[key], key):
            if not isinstance(part, Mapping):
                continue
            target = str(part.get("_target_", "egsde."))
            if target.startswith(APART):
                raise ValueError(f"its {place} is {target}, which is no part of a translation")
            for name, value in part.items():
                for one in value if isinstance(value, list) else [value]:
                    told(f"{place}.{name}", str(name), one, target, isinstance(one, int))
            if target.startswith(NETWORKS):
                _check_network(place, target, part)


def _check_network(place: str, target: str, part: Mapping[str, Any]) -> None:
    try:
        with at_most(TENSORS), torch.device("meta"):
            made = located(target)(**{str(k): v for k, v in part.items() if k != "_target_"})
        count = sum(value.numel() for value in made.state_dict().values())
    except Exception as error:  # whatever a class says to arguments that it does not know
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"its {place} cannot be made: {reason}") from error
    if count > MOST:
        raise ValueError(f"its {place} asks for {count} numbers, more than {MOST}")
