"""The command line before Hydra reads it: names and paths stay as written, mistakes get an answer.

Hydra's grammar gives brackets, quotes, commas and = a meaning and knows no letter beyond ASCII.
What can only be a text is quoted here; for what may be either, the answer shows how to quote.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from egsde.programs.settings import CONF, options

LONE = ["--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m",
        "--shell-completion", "-sc", "--info", "-i"]  # fmt: skip
VALUED = ("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn",
          "--config-dir", "-cd", "--experimental-rerun")  # fmt: skip
ALIASES = {"dataset": "data"}
STRUCTURE = re.compile(r"[()\[\]{}=,'\"\\]|\$\{")
PATH = re.compile(r"[/\\]|\.(safetensors|pth?|ckpt|bin|zip|ya?ml)$")
NEEDED = ("data", "translator", "trainer", "logger", "model")  # groups that no program lacks
LISTS = ("logger", "callbacks")  # groups that take several
FILES = {  # what is meant where a file or folder is given as the option of a group
    "data": "folders of your own are data=folder data.source=DIR data.target=DIR",
    "score": "a file of weights is score=trained score.weights=FILE",
    "extractor": "a file of weights is extractor=trained extractor.weights=FILE",
}
OPTIONAL = {"extractor": "energy=none needs none", "energy": "energy=none guides nothing",
            "degradation": "data.degradation=null switches it off"}  # fmt: skip


def read(program: str, arguments: Sequence[str]) -> list[str]:
    """The arguments as Hydra may have them; ValueError says what is wrong and what to write."""
    found = [_argument(program, arguments, i) for i in range(len(arguments))]
    places = [i for i in range(len(found)) if overrides(found[i])]
    for flag in ("-m", "--multirun"):
        if flag in found and any(i < found.index(flag) for i in places):
            rest = [argument for argument in arguments if argument != flag]
            raise ValueError(
                f"{flag} comes before the overrides: python {program}.py {flag} {' '.join(rest)}"
            )
    first = places[0] if places else len(found)  # overrides stand together
    return [*found[:first], *demonstrated(program, found), *found[first:]]


def demonstrated(program: str, given: Sequence[str]) -> list[str]:
    """sample.py without data, method, experiment or configuration of one's own is the demo."""
    own = re.compile(
        r"[+~]*((data|translator|experiment|hparams_search)(?=[=@]|$)|translator\.)|--config-|-c[pn]$"
    )
    alone = program == "sample" and not any(map(own.match, given))
    return ["experiment=demo"] if alone else []


def overrides(argument: str) -> bool:
    """Whether an argument is an override, not an option of Hydra or the value of one."""
    return not argument.startswith("-") and ("=" in argument or argument.startswith("~"))


def _argument(program: str, arguments: Sequence[str], i: int) -> str:
    text = arguments[i]
    if text.split("=")[0] == "--experimental-rerun":
        raise ValueError(
            f"{text} would open a pickle, which may run anything; a run is made again of its "
            f"config.yaml: python {program}.py --config-path FOLDER --config-name config"
        )
    if (i and arguments[i - 1] in VALUED) or text.split("=")[0] in (*LONE, *VALUED):
        return text
    if text.startswith("-"):
        name, _, value = text.lstrip("-").partition("=")
        raise ValueError(
            f"{text} is no option; settings have no dashes: {name.replace('-', '_')}="
            f"{value or 'VALUE'}"
        )
    if not overrides(text):
        picture = f"; pictures are named by data.source={text}" if Path(text).exists() else ""
        raise ValueError(f"{text} is no setting; write KEY=VALUE, --help lists them{picture}")
    owned = any(a in ("--config-dir", "-cd") or "searchpath" in a for a in arguments)
    return _override(program, searched(program, plain(text)), owned)


def one_of(key: str, value: str, known: Sequence[str]) -> None:
    """ValueError that says what was meant, or all that there is."""
    if value in known:
        return
    near = difflib.get_close_matches(value, known, n=1)
    listed = f"there is {', '.join(known)}" if known else "there is none"
    hint = f"did you mean {key}={near[0]}?" if near else listed
    raise ValueError(f"{key}={value} is unknown; {hint}")


def plain(argument: str) -> str:
    """An override under its proper name: dataset=folder is data=folder, out=~/a lies at home,
    and pattern={id}_B.png, whose quotes the shell took, is a text."""
    if argument.startswith("out=~"):  # not all shells say where that is
        return f"out={os.path.expanduser(argument[4:])}"
    if re.match(r"pattern=[^'\"].*\{id\}|pattern=\{id\}", argument):
        return f"pattern={quoted(argument[8:])}"
    name = re.match(r"[+~]*([A-Za-z_]+)(?=[=./@]|$)", argument)
    if name is None or name[1] not in ALIASES:
        return argument
    return argument.replace(name[1], ALIASES[name[1]], 1)


def quoted(text: object) -> str:
    """A text as Hydra's grammar takes any."""
    inner = re.sub(r"(\\+)(?='|$)", r"\1\1", str(text))  # elsewhere a backslash is one
    return "'" + inner.replace("'", "\\'") + "'"


def searched(program: str, argument: str) -> str:
    """A hydra.searchpath of one's own keeps that of the program, where its experiments lie."""
    beginning = "hydra.searchpath=["
    if not argument.startswith(beginning):
        return argument
    own = f"file://{CONF}/programs/{program}"
    rest = argument.removeprefix(beginning)
    return argument if own in rest else f"{beginning}{own},{rest}"


def _override(program: str, text: str, owned: bool) -> str:
    """One override, its value quoted where it can only be a text.

    owned: the command line adds files of the user's own, so names of options are not all known.
    """
    key, equals, value = text.partition("=")
    if value.startswith("~/"):
        value = str(Path.home() / value[2:])
    if key == "task" and program == "evaluate":
        one_of(key, value, ("measure", "likelihood"))
    if key.startswith("hydra.sweeper.params.") and re.fullmatch(r"[^\"'(\[{]*,[^\"'(\[{]*", value):
        told = text.removeprefix("hydra.sweeper.params.")
        raise ValueError(f"{text}: what a search varies is given by its own name, {told}")
    group = key.lstrip("+").split("@")[0]
    named = options(group, program) if value == "null" else []
    if named:
        hint = OPTIONAL.get(group, f"{group}=none" if "none" in named else "leave it out")
        raise ValueError(
            f"{text}: a group takes the name of one of its files, {', '.join(named)}; {hint}"
        )
    if not owned:
        _known_option(program, group, key, value)
    if group == "experiment" and value.isidentifier() and not owned:
        one_of(key, value, options(group, program))
    if key == "out" and value and not STRUCTURE.search(value):
        return f"{key}={_quoted(value)}"
    given = f"{key}{equals}{value}"
    try:
        OverridesParser.create().parse_override(given)
    except HydraException as error:
        if not equals or not re.fullmatch(r"[+~]*[\w./@-]+", key):
            raise ValueError(f"{text} is no setting; write KEY=VALUE, --help lists them") from error
        if STRUCTURE.search(value):
            raise ValueError(
                f"{text} cannot be read: brackets, quotes, commas and = mean something in a value. "
                f"Quote it twice, for the shell and for Hydra: '{key}=\"{value.strip(chr(34))}\"'"
            ) from error
        return f"{key}={_quoted(value)}"
    return given


def _known_option(program: str, group: str, key: str, value: str) -> None:
    """ValueError for a group that is taken away though it is needed, and for a value that names a
    path, a number or a part of other files where an option is wanted."""
    taken = key.startswith("~") and group.lstrip("~") in NEEDED
    whole = re.match(r"[\[{]|(true|false)$", value, re.IGNORECASE)  # what is no name at all
    odd = re.match(r"[_./~\d]|\w:\\", value) or PATH.search(value)
    if not whole and (not (taken or odd) or re.search(r"[\[\]{}'\"$,]", value)):
        return
    named = options(group.lstrip("~"), program)
    several = re.fullmatch(r"\[([\w\s,]*)\]", value) if group in LISTS else None
    listed = several and {name.strip() for name in several[1].split(",")} <= {*named, ""}
    if not named or value in named or listed:
        return
    given = f"{key} takes away what {program}.py needs" if taken else f"{key}={value} is no option"
    hint = f"; {FILES[group]}" if group in FILES else ""
    raise ValueError(f"{given}: {group.lstrip('~')} is one of {', '.join(named)}{hint}")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
