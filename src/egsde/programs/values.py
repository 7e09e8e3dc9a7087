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
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from egsde.programs.build import located

PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
# The least value of what counts, by the last part of its key.
LEAST = {"steps": 1, "batch_size": 1, "eval_batch_size": 1, "limit": 1, "train_limit": 1,
         "columns": 1, "size": 1, "repeats": 1, "num_workers": 0, "cache_mib": 0,
         "seed": 0}  # fmt: skip
UNBOUNDED = ("t_hi", "s_tmax")
NAMED = re.compile(r"\$\{(?:oc\.select:|anew:)?(\w+)(?![\w:])")  # not the name of a resolver
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
            found = set(NAMED.findall(OmegaConf.to_yaml(node))) - seen
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
    origin = reference[1] if reference else place
    try:
        value = node[name]
    except InterpolationResolutionError as error:
        if not isinstance(error, InterpolationKeyError):
            return  # a value that it is made of is wrong, and has an answer of its own
        raise ValueError(
            f"{place} reads {origin}, and there is none: it was taken away (~{origin}). Leave it, "
            "or choose parts that do not read it, such as energy=none"
        ) from error
    if isinstance(value, (DictConfig, ListConfig)):
        if not fits(value, wanted):
            if isinstance(value, DictConfig):
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
    elif isinstance(value, (int, float)) and value < LEAST.get(place.rsplit(".", 1)[-1], value):
        least = LEAST[place.rsplit(".", 1)[-1]]
        raise ValueError(f"{origin}={value} is too small; the least is {least}")


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
    if isinstance(value, float) and float(value).is_integer() and "a whole number" in kinds:
        return f"{text}; write {key}={int(value)}"
    if "a part" in kinds:
        text += f"; leave {key} as it is, or give {key}._target_=PACKAGE.NAME"
    return text


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


@cache
def parameters(target: str, place: str) -> tuple[dict[str, Any], bool]:
    """The annotations of what `target` takes by name, and whether it takes any other, too."""
    try:
        thing = located(target)
    except (ImportError, AttributeError) as error:
        why = str(error).split(";")[0]
        raise ValueError(
            f"{place}._target_={target} cannot be imported ({why}); write package.module.NAME"
        ) from error
    call = thing.__init__ if inspect.isclass(thing) else thing
    try:
        known = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return {}, True
    hints = _hints(thing, call)
    named = {
        p.name: hints.get(p.name, Any) if p.default is not None else hints.get(p.name, Any) | None
        for p in known
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
    }
    return named, any(p.kind is p.VAR_KEYWORD for p in known)


def _hints(thing: Any, call: Callable[..., Any]) -> dict[str, Any]:
    """What can be read of the annotations; names that exist for type checkers only are left out."""
    for asked in (call, thing):
        try:
            return get_type_hints(asked)
        except (NameError, TypeError, AttributeError):
            continue
    return {}
