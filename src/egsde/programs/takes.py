"""What a part takes by name, of its signature; of a class with **options, of its bases, too."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from egsde.programs.build import located


@cache
def parameters(target: str, place: str) -> tuple[dict[str, Any], bool]:
    """The annotations of what `target` takes by name, and whether it takes any other, too.
    ValueError where it cannot be imported."""
    try:
        thing = located(target)
    except (ImportError, AttributeError) as error:
        why = str(error).split(";")[0]
        raise ValueError(
            f"{place}._target_={target} cannot be imported ({why}); write package.module.NAME"
        ) from error
    found: dict[str, Any] = {}
    anything = False
    for call in _calls(thing):
        try:
            known = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):
            return found, True
        hints = _hints(thing, call)
        found = {p.name: _wanted(hints, p) for p in known if _by_name(p)} | found
        if not any(p.kind is p.VAR_KEYWORD for p in known):
            break
        anything = True
    return found, anything


def _calls(thing: Any) -> list[Callable[..., Any]]:
    """What is called: of a class its constructor and those of its bases, in order."""
    if not inspect.isclass(thing):
        return [thing]
    own: list[Callable[..., Any]] = [
        vars(kind)["__init__"] for kind in thing.__mro__ if "__init__" in vars(kind)
    ]
    return own if own[:1] == [thing.__init__] else [thing.__init__, *own]


def _by_name(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and parameter.name != "self"


def _wanted(hints: dict[str, Any], parameter: inspect.Parameter) -> Any:
    wanted = hints.get(parameter.name, Any)
    return wanted | None if parameter.default is None else wanted


def _hints(thing: Any, call: Callable[..., Any]) -> dict[str, Any]:
    """What can be read of the annotations; names that exist for type checkers only are left out."""
    for asked in (call, thing):
        try:
            return get_type_hints(asked)
        except (NameError, TypeError, AttributeError):
            continue
    return {}
