"""The parts that a weights file describes: {"class": NAME, **arguments}, else plain values.

NAME is a short name of `scores.names`, or the path of a class in a package that the user allows on
the command line. Nothing else of a file's text is run: no interpolation, no Hydra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch

from egsde.networks.files import at_most
from egsde.scores.names import NAMES, short_of_old

FORMAT = 2  # 1, unwritten: `_target_` with a Python path where now stands "class"
PARTS = ("network", "sde", "prediction")
INSIDE = {"network": "network"}  # the table of what stands inside, if not "inner"
SILENT = {"_convert_", "_recursive_"}  # Hydra's, and without meaning for plain values
LARGEST, HIGHEST = 10**6, 1e300  # of a number that a class of ours, or any, is given
DEEPEST = 8

Allow = Iterable[str] | str | None  # packages


def prefixes(allow: Allow) -> tuple[str, ...]:
    """allow=my_package, allow=[my_package, other.part] or null as a tuple; ValueError else."""
    several = isinstance(allow, Sequence) and not isinstance(allow, str)
    listed: list[Any] = list(allow or ()) if several or allow is None else [allow]
    if not all(isinstance(p, str) and p.replace(".", "_").isidentifier() for p in listed):
        raise ValueError(f"allow={listed} is no list of packages; write allow=[my_package]")
    return tuple(listed)


def described(config: Mapping[str, Any], allow: Allow = ()) -> dict[str, Any]:
    """The network, process and prediction of a configuration as they go into a file.

    ValueError where the file could not be opened again with this `allow`.
    """
    parts = {key: _node(config.get(key), key) for key in PARTS}
    for key, node in parts.items():
        _check(node, key, prefixes(allow))
    return {**config, **parts, "format": FORMAT}


def _node(node: Any, place: str) -> Any:
    """`_target_`, which the user's own configuration names, under its short name."""
    if isinstance(node, Mapping):
        below = _inside(place)
        inner = {k: _node(v, below) for k, v in node.items() if k not in {"_target_", *SILENT}}
        target = node.get("_target_")
        return inner if target is None else {"class": _short(target, place), **inner}
    listed = isinstance(node, (list, tuple))
    return [_node(value, _inside(place)) for value in node] if listed else node


def _inside(place: str) -> str:
    return INSIDE.get(place, "inner")


def _short(target: str, place: str) -> str:
    thing = _find(target)
    same = (name for name, path in NAMES[place].items() if _find(path) is thing)
    return next(same, f"{thing.__module__}.{thing.__qualname__}")


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def modern(config: Mapping[str, Any]) -> dict[str, Any]:
    """A file's configuration in today's format; ValueError for a format of the future."""
    version = config.get("format", 1)
    if version not in (1, FORMAT):
        raise ValueError(f"its format is {version!r:.40}, newer than this egsde; update egsde")
    parts = {key: config.get(key) for key in PARTS}
    if version == 1:
        parts = {key: _renamed(node, key) for key, node in parts.items()}
    return {**config, **parts, "format": FORMAT}


def _renamed(node: Any, place: str, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"its {place} is nested more than {DEEPEST} deep")
    if isinstance(node, list):
        return [_renamed(value, "inner", depth + 1) for value in node]
    if not isinstance(node, dict):
        return node
    inner = {k: _renamed(v, "inner", depth + 1) for k, v in node.items() if k not in SILENT}
    if isinstance(target := inner.pop("_target_", None), str):
        return {"class": short_of_old(target, place), **inner}
    return inner


def part(node: Any, place: str, allow: Allow = ()) -> Any:
    """The process or prediction that a file's node describes; ValueError where it is none."""
    _check(node, place, prefixes(allow))
    if not isinstance(node, dict):
        raise ValueError(f"it describes no {place}")
    return _made(node, place)


def configuration(node: Any, place: str, allow: Allow = ()) -> Any:
    """A file's node, checked, as the configuration that makes the same."""
    _check(node, place, prefixes(allow))
    return _targets(node, place)


def _targets(node: Any, place: str) -> Any:
    if isinstance(node, list):
        return [_targets(value, _inside(place)) for value in node]
    if not isinstance(node, dict):
        return node
    inner = {k: _targets(v, _inside(place)) for k, v in node.items() if k != "class"}
    name = node.get("class")
    return inner if name is None else {"_target_": NAMES[place].get(name, name), **inner}


def network(node: Any, shapes: Mapping[str, tuple[int, ...]], allow: Allow = ()) -> Any:
    """The network that a node describes, with memory for no more than the file's tensors.

    One of ours is made without memory first, of at most as many parameters as the file has
    tensors, and compared with their shapes. ValueError where it describes none, or one of other
    shapes.
    """
    _check(node, "network", prefixes(allow))
    if not isinstance(node, dict):
        raise ValueError("it describes no network")
    ours = node.get("class") in NAMES["network"]
    with at_most(len(shapes)), torch.device("meta" if ours else "cpu"):
        made = _made(node, "network")
    own = {key: tuple(value.shape) for key, value in made.state_dict().items()}
    wrong = [k for k in sorted(own.keys() | shapes.keys()) if own.get(k) != shapes.get(k)]
    if wrong:
        shown = ", ".join(f"{k} ({own.get(k)}, file {shapes.get(k)})"[:120] for k in wrong[:5])
        raise ValueError(f"its weights do not fit the network that it describes: {shown}")
    return made.to_empty(device="cpu") if ours else made


def _made(node: Any, place: str) -> Any:
    if isinstance(node, list):
        return [_made(value, _inside(place)) for value in node]
    if not isinstance(node, dict):
        return node
    below = _inside(place)
    arguments = {key: _made(value, below) for key, value in node.items() if key != "class"}
    if "class" not in node:
        return arguments
    name = node["class"]
    make: Callable[..., Any] = _find(NAMES[place].get(name, name))
    try:
        return make(**arguments)
    except Exception as error:  # whatever a class says to arguments that it does not know
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"its {place} {name} cannot be made: {reason}") from error


def _check(
    node: Any, place: str, allow: tuple[str, ...], depth: int = 0, ours: bool = True
) -> None:
    """ValueError unless a node holds plain values, and names only what it may."""
    if depth > DEEPEST:
        raise ValueError(f"its {place} is nested more than {DEEPEST} deep")
    if isinstance(node, dict):
        if "class" in node:
            ours = isinstance(node["class"], str) and node["class"] in NAMES[place]
            if not ours:
                _check_foreign(node["class"], place, allow)
        elif depth == 0:
            raise ValueError(f"its {place} has no class")
        for key, value in node.items():
            if not (isinstance(key, str) and key.isidentifier()) or key.startswith("_"):
                raise ValueError(f"its {place} has the key {key!r:.80}, which is no setting")
            _check(value, _inside(place), allow, depth + 1, ours)
    elif isinstance(node, list):
        for value in node:
            _check(value, _inside(place), allow, depth + 1, ours)
    elif isinstance(node, str):
        if "${" in node:
            raise ValueError(f"its {place} holds {node!r:.80}; interpolations are not resolved")
    elif isinstance(node, (int, float)):
        most = LARGEST if ours else HIGHEST
        if not abs(node) <= most:  # NaN is no number of any size
            raise ValueError(f"its {place} holds the number {node!s:.40}; at most {most}")
    elif node is not None:
        raise ValueError(f"its {place} holds a {type(node).__name__}, which is no plain value")


def _check_foreign(name: Any, place: str, allow: tuple[str, ...]) -> None:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"its {place} names {name!r:.80}, which is no class")
    if not _below(name, allow):
        package = name.split(".")[0]
        known = ", ".join(NAMES[place])
        hint = f"; if you trust it and the file, add allow=[{package}]" if "." in name else ""
        raise ValueError(
            f"its {place} names {name!r:.80}, and only classes of egsde ({known}) are made of a "
            f"file's text{hint}"
        )
    try:
        thing = _find(name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"its {place} names {name!r:.80}, which is not found: {error}") from error
    if not isinstance(thing, type) or not _below(f"{thing.__module__}.", allow):
        raise ValueError(
            f"its {place} names {name!r:.80}, which is no class of {', '.join(allow)}; only "
            "classes defined in an allowed package are made of a file's text"
        )


def _below(name: str, allow: tuple[str, ...]) -> bool:
    return any(prefix and name.startswith(f"{prefix}.") for prefix in allow)
