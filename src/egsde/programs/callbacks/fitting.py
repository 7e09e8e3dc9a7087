"""A network that does not take the images of a run is told by its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

from egsde.programs.callbacks.room import memory_ended


@contextmanager
def fitting() -> Iterator[None]:
    """ValueError in the place of what a network from a file raises where it is asked, with the
    file and what PyTorch says; other errors, and an end of memory, pass."""
    try:
        yield
    except (RuntimeError, AttributeError, TypeError, IndexError) as error:
        record = None if memory_ended(error) else _asked(error)
        if record is None:
            raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{record['file']}, a {record['kind']}: its network does not take what it is asked "
            f"({said:.200}); it is of other images or of another kind than its file says"
        ) from error


def _asked(error: BaseException) -> dict[str, Any] | None:
    """What the file of the innermost network on the way to an error records."""
    found = None
    for frame, _ in walk_tb(error.__traceback__):
        asked = frame.f_locals.get("self")
        for part in (asked, getattr(asked, "net", None)):
            found = getattr(part, "record", None) or found
    return found if isinstance(found, dict) and {"file", "kind"} <= set(found) else None
