"""Objects from a configuration: a node with `_target_` becomes what it names, called with the rest.

With `_partial_` it is called later; with nothing else beside it, it is the function itself.

What refers to a node by ${...} gets one object, the same for all, so that two parts share their
network. ${anew:node} is a copy of the node, and so an object of its own.
"""

from __future__ import annotations

import copy
import inspect
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from egsde.programs.foreign import check_part

OURS = {"_target_", "_partial_", "_args_", "_convert_", "_recursive_"}  # Hydra's words

OmegaConf.register_new_resolver(
    "anew", lambda key, *, _root_: copy.deepcopy(OmegaConf.select(_root_, key)), replace=True
)


class Parts:
    """The parts of one configuration by their keys, each made when it is first asked for."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self._made: dict[int, tuple[Any, Any]] = {}  # with the node, so that its id stays its own
        self._open: set[int] = set()

    def __call__(self, key: str, **more: Any) -> Any:
        """What stands at a key; more: further arguments for it. None where there is nothing.

        ValueError where a name cannot be found or does not take what it is given.
        """
        return self._value(OmegaConf.select(self.cfg, key), key, more)

    def _value(self, node: Any, key: str, more: dict[str, Any] | None = None) -> Any:
        if not isinstance(node, (DictConfig, ListConfig)):
            return node
        if id(node) in self._open:
            raise ValueError(f"{key} refers to itself; give it a value of its own")
        if id(node) not in self._made:
            self._open.add(id(node))
            self._made[id(node)] = (node, self._new(node, key, more or {}))
            self._open.remove(id(node))
        return self._made[id(node)][1]

    def _new(self, node: Any, key: str, more: dict[str, Any]) -> Any:
        if isinstance(node, ListConfig):
            return [self._value(value, f"{key}[{i}]") for i, value in enumerate(node)]
        named = "_target_" in node
        names = [str(n) for n in node if not (named and n in OURS) and str(n) not in more]
        inner = {name: self._value(node[name], f"{key}.{name}") for name in names}
        if not named:
            return inner
        arguments = self._value(node.get("_args_"), f"{key}._args_") or []
        check_part(self.cfg, node["_target_"], inner)
        return _call(node, key, arguments, {**inner, **more})


def located(path: str) -> Any:
    """What a dotted path names; an attribute goes before a module of the same name."""
    names = path.split(".")
    found: Any = import_module(names[0])
    for i, name in enumerate(names[1:], 2):
        if not hasattr(found, name) and isinstance(found, ModuleType):
            import_module(".".join(names[:i]))
        found = getattr(found, name)
    return found


def _call(node: DictConfig, key: str, arguments: list[Any], options: dict[str, Any]) -> Any:
    target, later = node["_target_"], bool(node.get("_partial_"))
    try:
        function = located(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{key}._target_={target} cannot be imported ({error}); write package.module.NAME, of "
            "a package that Python finds or of a file in --config-dir"
        ) from error
    if not callable(function):
        raise ValueError(
            f"{key}._target_={target} is a {type(function).__name__}, which makes nothing"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C
        signature = None
    if signature is not None:
        try:
            (signature.bind_partial if later else signature.bind)(*arguments, **options)
        except TypeError as error:
            takes = ", ".join(signature.parameters) or "nothing"
            raise ValueError(f"{key}: {target} has {error}; it takes {takes}") from error
    if not later:
        return function(*arguments, **options)
    return partial(function, *arguments, **options) if arguments or options else function
