"""The command lines of the small programs: things to look at, then KEY=VALUE."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SETTING = re.compile(r"[+~]*[^\W\d][\w.@]*")


class Usage(ValueError):
    """A command line that says too little or too much."""


def split(
    program: str, arguments: Sequence[str], **known: tuple[Callable[[str], Any], Any]
) -> tuple[list[str], dict[str, Any]]:
    """(things, settings by name); known: key -> (what makes a value of its text, default).

    A thing with "=" in its name is one where such a file is there. ValueError for what is neither.
    """
    things: list[str] = []
    found = {key: default for key, (_, default) in known.items()}
    for argument in arguments:
        key, equal, value = argument.partition("=")
        if not argument.strip():
            raise Usage("an empty name is given; was it a shell variable that is not set?")
        if argument.startswith("-"):
            name = argument.lstrip("-").partition("=")[0].replace("-", "_")
            raise Usage(
                f"{argument} is no option; settings have no dashes: {name}=VALUE; egsde {program} "
                "--help lists them"
            )
        if equal and key in known:
            found[key] = made(key, value, known)
        elif equal and SETTING.fullmatch(key) and not Path(argument).exists():
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"there is {', '.join(known)}"
            raise Usage(f"{key} is no setting of egsde {program}; {hint}")
        else:
            things.append(argument)
    return things, found


def made(key: str, text: str, known: Mapping[str, tuple[Callable[[str], Any], Any]]) -> Any:
    """The value of a setting; ValueError for an empty one, and for what its maker refuses."""
    if not text.strip():
        raise Usage(f"{key}= is empty; was it a shell variable that is not set? Leave it out")
    try:
        return known[key][0](text)
    except ValueError as error:
        raise Usage(f"{key}={text}: {error}") from error


def whole_number(least: int = 0, most: float = math.inf) -> Callable[[str], int]:
    """Makes a whole number of `least` to `most`; ValueError for any other."""

    def made(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            upper = "" if math.isinf(most) else f" and at most {most:g}"
            raise ValueError(f"a whole number of at least {least}{upper} is wanted, got {text!r}")
        return value

    return made


def number(least: float = 0.0) -> Callable[[str], float]:
    """Makes a finite number of at least `least`."""

    def made(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"a finite number of at least {least:g} is wanted, got {text!r}")
        return value

    return made


def parsed(
    arguments: Sequence[str], known: Mapping[str, tuple[Callable[[str], Any], Any]], program: str
) -> tuple[dict[str, Any], list[str]]:
    """A tool's own KEY=VALUE settings, read or by default, and what is left for `program`."""
    own: dict[str, Any] = {key: default for key, (_, default) in known.items()}
    others = []
    for argument in arguments:
        key, equal, text = argument.partition("=")
        if not equal:
            raise Usage(f"{argument} is no setting; write KEY=VALUE, as for {program}")
        if key not in known:
            others.append(argument)
            continue
        own[key] = made(key, text, known)
    return own, others
