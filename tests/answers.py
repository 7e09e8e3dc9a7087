"""Every mistake that was tried, and words of its answer: the rows of docs/reliability.md.

A row that can be made from settings alone names the program and its overrides; one that needs files
is a function of an empty folder, which it fills, and then calls what a user would call. Add a row
to `ROWS` or to a list of your own that `tests/test_answers.py` adds up.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from egsde.programs.checks import check
from egsde.programs.line import read
from egsde.programs.messages import readable
from egsde.programs.settings import CONF, groups_of
from egsde.scores.container import PACKAGE

Do = Callable[[Path], object]


@dataclass(frozen=True)
class Row:
    """what: the mistake as a user makes it. words: part of the answer, without paths."""

    what: str
    do: Do
    words: str
    program: str = "train"

    def answer(self, folder: Path) -> str:
        """What is told; AssertionError where the mistake passes or ends in a traceback."""
        try:
            self.do(folder)
        except Exception as error:
            told = readable(error, self.program)
            assert told is not None, f"{self.what}: a traceback, {error!r}"
            return " ".join(
                told.replace(str(folder), "FOLDER")
                .replace(f"{PACKAGE}/", "")
                .replace(str(Path.home()), "~")
                .split()
            )
        raise AssertionError(f"{self.what}: no answer")


def command(program: str, *arguments: str) -> Do:
    """`python PROGRAM.py arguments` up to the start of its work."""

    def do(folder: Path) -> None:
        overrides = read(program, [a.replace("FOLDER", str(folder)) for a in arguments])
        parsed = OverridesParser.create().parse_overrides([o for o in overrides if o != "-m"])
        values = [o for o in parsed if _only_a_value(o, program)]
        chosen = tuple(str(o.input_line) for o in parsed if o not in values)
        cfg = deepcopy(_composed(program, chosen))
        for override in values:
            OmegaConf.update(cfg, override.key_or_group, override.value())
        with open_dict(cfg):
            cfg.out = str(folder)
        check(program, cfg, overrides)

    return do


def _only_a_value(override: Override, program: str) -> bool:
    """Whether an override can be put into the configuration that the others make."""
    key = override.key_or_group
    group = key.split("@")[0] in _groups(program)
    more = override.is_add() or override.is_force_add() or override.is_sweep_override()
    return not (group or override.is_delete() or more or key == "data.size")


_groups = cache(groups_of)


@cache
def _composed(program: str, chosen: tuple[str, ...]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(program, list(chosen))


def settings(program: str, *pairs: tuple[str, str]) -> list[Row]:
    """Rows of one override (or several, between blanks outside quotes) and the words expected."""
    rows = []
    for given, words in pairs:
        arguments = given.split(" | ")
        name = {"likelihood": "evaluate.py task=likelihood"}.get(program, f"{program}.py")
        what = f"`{name} {' '.join(arguments)}`"
        rows.append(Row(what, command(program, *arguments), words, program))
    return rows
