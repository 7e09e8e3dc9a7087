"""What comes with the images -- masks, low-resolution pictures -- and whether any part reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn

from egsde.data import TwoDomains

READERS = {
    "mask": "translator=repaint, inpaint, palette, sdedit with translator.mask=true",
    "low": "translator=ccdf",
    "neighbours": "a score of model=conditional that was trained with data.neighbours",
}
DRAWN_BY_DEFAULT = "centre"  # the embedded pictures' mask, there for whoever reads one


def name_unread(
    data: TwoDomains, translator: Any, given: Mapping[str, Any], overrides: Iterable[str]
) -> None:
    """Warn of data.mask and data.low where a person gave them and the translator reads neither.

    given: the configuration's data; overrides: the command line's.
    """
    parts = list(parts_of(translator, set()))
    if not all(type(part).__module__.split(".")[0] in ("egsde", "torch") for part in parts):
        return  # a part from elsewhere may read what it likes
    read = {name for part in parts for name in getattr(part, "reads", ())}
    for name, readers in READERS.items():
        value = given.get(name)
        chosen = any(o.lstrip("+").startswith(f"data.{name}=") for o in overrides)
        if name in data.beside and name not in read and (chosen or value != DRAWN_BY_DEFAULT):
            rank_zero_warn(
                f"data.{name}={value} has no effect: no part of this translator reads it; what "
                f"does: {readers}"
            )


def codec_of(translator: Any) -> Any:
    """The codec in whose space a translator runs; None for pixels."""
    parts = parts_of(translator, set())
    return next((p for p in parts if hasattr(p, "encode") and hasattr(p, "factor")), None)


def parts_of(part: Any, seen: set[int]) -> Iterator[Any]:
    """The objects that a translator is made of, networks' layers apart."""
    if id(part) in seen or isinstance(part, (type, ModuleType, FunctionType, str, bytes)):
        return
    seen.add(id(part))
    if isinstance(part, Mapping):
        inner = list(part.values())
    elif isinstance(part, (list, tuple)):
        inner = list(part)
    else:
        fields = getattr(part, "__dict__", None)
        if fields is None:
            return
        yield part
        fields = {**fields, **getattr(part, "keywords", {})}
        inner = [value for key, value in fields.items() if not key.startswith("_")]
        if isinstance(part, nn.Module):
            inner = [m for m in part.modules() if hasattr(m, "reads") and m is not part]
    for value in inner:
        yield from parts_of(value, seen)
