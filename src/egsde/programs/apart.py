"""A composition of its own, inside that of a program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.global_hydra import GlobalHydra


@contextmanager
def apart() -> Iterator[None]:
    """Hydra knows of no other composition meanwhile."""
    singleton = GlobalHydra.instance()
    outer, singleton.hydra = singleton.hydra, None
    try:
        yield
    finally:
        singleton.hydra = outer
