"""One truth for a setting: a default in Python is what an option of conf runs with.

Options of one class may differ, each a preset with a name (network=tiny, network=adm_256); a
default that none of them uses would be a second truth, so there is none.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import yaml
from hydra.utils import get_object

from egsde.programs.settings import CONF

OTHER = {  # settings whose default is no option's, and why
    "warmup": "a recipe's own number; 0 is none",
    "expected": "words of an error, which a data set has and a store alone lacks",
    "fill": "what moving a picture lays bare; none is moved unless asked",
    "last": "how a run ends; orders are measured without",
}
EMPTY = inspect.Parameter.empty


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a file that builds something of ours."""
    if isinstance(node, dict):
        if str(node.get("_target_", "")).startswith("egsde."):
            yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def literal(value: Any) -> bool:
    """Whether a value is the same in both languages: no part of its own, no reference."""
    return not isinstance(value, dict) and not (isinstance(value, str) and "${" in value)


def test_a_python_default_is_what_some_option_runs_with():
    given: dict[tuple[str, str], list[str]] = defaultdict(list)  # values that differ, by setting
    used: set[tuple[str, str]] = set()  # settings for which an option has the Python default
    every = defaultdict(list)
    for file in sorted(CONF.rglob("*.yaml")):
        for node in nodes(yaml.safe_load(file.read_text())):
            every[node["_target_"]].append((file, node))
    for target, uses in every.items():
        parameters = inspect.signature(get_object(target)).parameters
        for file, node in uses:
            for name, parameter in parameters.items():
                if parameter.default is EMPTY or name in OTHER:
                    continue
                value = node.get(name, parameter.default)
                if not literal(value) or plain(value) == plain(parameter.default):
                    used.add((target, name))
                else:
                    where = file.relative_to(CONF)
                    given[target, name].append(f"{value!r} in {where}, {parameter.default!r}")
    wrong = [f"{t}.{n} is {v[0]} in Python" for (t, n), v in given.items() if (t, n) not in used]
    assert len(every) > 80 and not wrong, "\n".join(wrong)
