"""Which values a setting may have, read from the annotations of the part that takes it.

A configuration is checked as it was composed, before anything is built: a wrong value is named by
its key, with what stands there and what is wanted, wherever it stands and whoever wrote the part.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
import types
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from egsde.programs.bounds import entry_told, told
from egsde.programs.takes import parameters
from egsde.programs.texts import texts

PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
UNBOUNDED = ("t_hi", "s_tmax")
NAMED = re.compile(r"\$\{(?:oc\.select:|anew:)?(\w+)(?![\w:])")  # not the name of a resolver
ABSENT = re.compile(r"Interpolation key '([\w.]+)' not found")
WRITTEN = re.compile(r"\$\{(?:oc\.select:)?([\w.]+)\}")


def check_values(
    cfg: DictConfig, general: Mapping[str, Any], roots: Iterable[str], written: Mapping[str, str]
) -> None:
    """ValueError for the first value that its part cannot take.

    general: annotations of the keys that stand beside the groups. roots: the nodes that the program
    builds; what none of them refers to is not looked at. written: texts of the command line by key,
    so that a name that looks like a number (2024_01) stays as it was written.
    """
    for key, wanted in general.items():
        if key in cfg:
            _value(cfg, cfg, key, wanted, key, written)
    for name in sorted(set(roots) | referred(cfg, *roots)):
        if isinstance(cfg.get(name), DictConfig):
            _part(cfg, cfg[name], name, written)


def referred(cfg: DictConfig, *names: str) -> set[str]:
    """The top-level nodes that these refer to by ${...}, directly or through others."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        node = cfg.get(waiting.pop())
        if isinstance(node, DictConfig):
            found = {name for text in texts(node) for name in NAMED.findall(text)} - seen
            seen |= found
            waiting += found
    return seen


def _part(cfg: DictConfig, node: DictConfig, place: str, written: Mapping[str, str]) -> None:
    """Every setting of a node, against the parameters of its target if it has one."""
    target = node.get("_target_")
    takes, anything = ({}, True) if target is None else parameters(target, place)
    for name in map(str, node):
        if name in ("_target_", "_partial_", "_convert_", "_recursive_", "_args_"):
            continue
        key = f"{place}.{name}"
        if name not in takes and not anything:
            near = difflib.get_close_matches(name, takes, n=3)
            known = f"did you mean {', '.join(near)}?" if near else f"it takes {', '.join(takes)}"
            raise ValueError(f"{key}: {target} has no setting {name}; {known}")
        _value(cfg, node, name, takes.get(name, Any), key, written)


def _value(
    cfg: DictConfig, node: Any, name: Any, wanted: Any, place: str, written: Mapping[str, str]
) -> None:
    if OmegaConf.is_missing(node, name):
        return
    reference = WRITTEN.fullmatch(str(node._get_node(name)._value()))
    origin = _absolute(reference[1], place) if reference else place
    try:
        value = node[name]
    except InterpolationResolutionError as error:
        if not isinstance(error, InterpolationKeyError):
            return  # a value that it is made of is wrong, and has an answer of its own
        absent = ABSENT.search(str(error))
        origin = absent[1] if absent is not None and origin == place else origin
        raise ValueError(
            f"{place} reads {origin}, and there is none: it was taken away (~{origin}). Leave it, "
            "or choose parts that do not read it, such as energy=none"
        ) from error
    if isinstance(value, (DictConfig, ListConfig)):
        if not fits(value, wanted):
            if isinstance(value, DictConfig) and "a part" in _words(wanted):
                raise ValueError(
                    f"{origin} has no _target_, but {_words(wanted)} is wanted by {place}; was it "
                    f"taken away by ~{origin}?"
                )
            raise ValueError(_told(origin, OmegaConf.to_container(value), wanted, place))
        if reference is None:
            _inside(cfg, value, wanted, place, written)
    elif not fits(value, wanted):
        if isinstance(value, (int, float)) and fits("", wanted):
            OmegaConf.update(cfg, origin, written.get(origin, str(value)))
            return
        raise ValueError(_told(origin, value, wanted, place))
    elif isinstance(value, float) and not (math.isfinite(value) or _boundless(node, name, value)):
        raise ValueError(f"{origin}={value}, but a finite number is wanted")
    elif isinstance(node, DictConfig) and ("_target_" in node or node is cfg):
        whole = float not in _options(wanted)
        told(origin, str(name), value, node.get("_target_"), whole)
    elif isinstance(node, ListConfig):
        entry_told(origin, value)


def _absolute(written: str, place: str) -> str:
    """The whole key of ${...}, which may begin at the node it stands in (a dot a level)."""
    up = len(written) - len(written.lstrip("."))
    return ".".join([*place.split(".")[:-up], written[up:]]) if up else written


def _boundless(node: Any, name: Any, value: float) -> bool:
    """Whether infinity may stand there: for a bound that there need not be, in parts of others."""
    target = str(node.get("_target_", "egsde")) if isinstance(node, DictConfig) else "egsde"
    ours = target.startswith(("egsde", "torch", "lightning"))
    return math.isinf(value) and (str(name) in UNBOUNDED or not ours)


def _inside(
    cfg: DictConfig, value: Any, wanted: Any, place: str, written: Mapping[str, str]
) -> None:
    """The entries of a container that stands where `wanted` is wanted."""
    if isinstance(value, DictConfig) and "_target_" in value:
        return _part(cfg, value, place, written)
    inner = next((a for a in _options(wanted) if _holds(value, a)), Any)
    entry = next(reversed(get_args(inner)), Any)
    entry = Any if entry is Ellipsis else entry
    if isinstance(value, DictConfig):
        for name in map(str, value):
            _value(cfg, value, name, entry, f"{place}.{name}", written)
    else:
        for index in range(len(value)):
            _value(cfg, value, index, entry, f"{place}[{index}]", written)
    return None


def _options(wanted: Any) -> tuple[Any, ...]:
    return get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)


def _holds(value: Any, wanted: Any) -> bool:
    return _admits(wanted, dict if isinstance(value, DictConfig) else list)


def _admits(wanted: Any, container: type) -> bool:
    kind = get_origin(wanted) or wanted
    kind = list if kind is tuple else kind  # a configuration has no tuples
    try:
        return kind is not object and issubclass(container, kind)
    except TypeError:  # no class, or a protocol of methods
        return False


def fits(value: Any, wanted: Any) -> bool:
    """Whether a plain value, a list or a part may stand where an annotation asks for `wanted`."""
    if wanted in (Any, object, inspect.Parameter.empty):
        return True
    if get_origin(wanted) in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(wanted))
    if get_origin(wanted) is Literal:
        return value in get_args(wanted)
    if isinstance(value, DictConfig) and "_target_" in value:
        return True  # what it makes may be of any type, a number, too
    if isinstance(value, (DictConfig, ListConfig)):
        return _holds(value, wanted)
    if value is None:
        return wanted in (None, type(None))
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted in (bool, str):
        return isinstance(value, wanted)
    return wanted is Path and isinstance(value, str)


def _told(key: str, value: Any, wanted: Any, reader: str) -> str:
    shown = "null" if value is None else str(value).lower() if value in (True, False) else value
    kinds = _words(wanted)
    text = f"{key}={shown}, but {kinds} is wanted"
    if reader != key:
        text += f" by {reader}"
    if (meant := _meant(value, kinds)) is not None:
        return f"{text}; write {key}={meant}"
    if isinstance(value, float) and float(value).is_integer() and "a whole number" in kinds:
        return f"{text}; write {key}={int(value)}"
    if "a part" in kinds:
        text += f"; leave {key} as it is, or give {key}._target_=PACKAGE.NAME"
    return text


def _meant(value: Any, kinds: str) -> str | None:
    """The number that a text is of: in quotes, with zeros before it, a share or a fraction."""
    if not isinstance(value, str) or "number" not in kinds:
        return None
    text = value.strip()
    try:
        number = Fraction(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        return None
    if "a number" in kinds or number.denominator == 1:
        return f"{float(number):.15g}"
    return None


def _words(wanted: Any) -> str:
    return " or ".join(dict.fromkeys(map(_word, _options(wanted))))


def _word(wanted: Any) -> str:
    if wanted in PLAIN:
        return PLAIN[wanted]
    if wanted in (None, type(None)):
        return "null"
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(str, get_args(wanted)))
    if _admits(wanted, list):
        return "a list such as [a,b]"
    if _admits(wanted, dict):
        return "names with values such as {a: 1}"
    return "a part"
