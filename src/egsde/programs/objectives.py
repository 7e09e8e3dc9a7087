"""What a run returns to a sweep: the number called `objective`, or several: objective=[fid,l2]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from egsde.programs.line import one_of


def named(objective: Any) -> list[str]:
    """The names of one or of several."""
    return [objective] if isinstance(objective, str) else [str(name) for name in objective]


def check_objective(objective: Any, known: Sequence[str]) -> None:
    """ValueError for a name that nothing measures, and for none."""
    if not (names := named(objective)):
        raise ValueError("objective=[] names nothing; there is " + ", ".join(known))
    for name in names:
        one_of("objective", name, known)


def returned(objective: Any, find: Callable[[str], Any]) -> Any:
    """The number, a list of several, or None where one was not found."""
    found = [find(name) for name in named(objective)]
    if any(value is None for value in found):
        return None
    numbers = [float(value) for value in found]
    return numbers[0] if isinstance(objective, str) else numbers
