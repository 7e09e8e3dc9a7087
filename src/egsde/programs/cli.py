"""The command lines: Hydra finds the configuration of a program, errors stay readable.

Nothing heavy is imported before the configuration is known, so --help and mistakes answer at once.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import hydra_plugins.egsde_settings  # noqa: F401  (a job in another process composes, too)
from egsde.disk import remove_empty, unwritable
from egsde.programs.ended import Ended, look, refuse_hidden, told_by_the_first
from egsde.programs.folders import claimed, claiming, given_back
from egsde.programs.line import overrides, read, searched
from egsde.programs.manual import manual
from egsde.programs.messages import in_sentences, printable, readable
from egsde.programs.secrets import told
from egsde.programs.settings import CONF
from egsde.programs.start import PROGRAMS, TOOLS, evaluate, main, sample, train  # noqa: F401
from egsde.programs.suggest import suggest
from egsde.programs.sweep import Table

RESULT = "EGSDE_RESULT"  # where a job of hydra/launcher=subprocess leaves what it returned
TASKS = {"evaluate": {"task=likelihood": "likelihood"}}  # a program's other configurations
FULL = "HYDRA_FULL_ERROR"


def use(name: str, arguments: list[str]) -> None:
    """A tool: mistakes in one message, as those of the programs."""
    if {"--help", "-h"} & set(arguments):  # read, not imported, which takes seconds
        spec = find_spec(TOOLS[name])
        print(ast.get_docstring(ast.parse(Path(str(spec and spec.origin)).read_text())))
        return
    tool = import_module(TOOLS[name])
    try:
        with in_sentences():
            tool.main(arguments)
    except Exception as error:
        if os.environ.get(FULL) == "1":
            raise
        _tell("sample", error)
        raise SystemExit(1) from error


def run(name: str, arguments: list[str]) -> None:
    """A program of settings: composed by Hydra, then imported."""
    name = next((other for task, other in TASKS.get(name, {}).items() if task in arguments), name)
    try:
        arguments = given_back(name, read(name, arguments))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    if {"--help", "-h"} & set(arguments):
        arguments = _help(name, arguments)
        if not arguments:
            return
    if (folder := _config_dir(arguments)) is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))  # its YAML may name the Python files beside it
    started, outer, composed = sys.argv, Ended.words, False
    runs = not {"--cfg", "-c", "--info", "-i"} & {argument.split("=")[0] for argument in arguments}
    full = os.environ.get(FULL)

    def job(cfg: DictConfig) -> Any:
        nonlocal composed
        composed = True
        sys.argv = started  # Lightning starts the other processes of a run by it
        try:
            with _set(FULL, full):
                value = getattr(import_module(PROGRAMS[name]), name)(cfg)
            look()  # of a sweep no other job is begun
        except Ended:
            remove_empty(Path(cfg.out))
            raise
        except Exception as error:
            remove_empty(Path(cfg.out))
            if full == "1":
                raise
            _tell(name, error, cfg)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the sweep goes on
            raise SystemExit(1) from error
        if RESULT in os.environ and os.environ.get("LOCAL_RANK", "0") == "0":
            Path(os.environ[RESULT]).write_text(json.dumps(value))
        return value

    Ended.words, sys.argv = started, [started[0], *arguments]
    try:
        # A notebook's MPLBACKEND is inherited by what it starts, and fails here; FULL: Hydra
        # leaves to us what is told.
        with claiming(runs), in_sentences(), _set("MPLBACKEND", "agg"), _set(FULL, "1"):
            try:
                hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
            except Ended as error:
                error.out = claimed()
                raise
    except Exception as error:
        if full == "1":
            raise
        if not composed:
            if isinstance(error, OSError) and error.filename:  # Hydra makes the folder of the run
                error = unwritable(Path(str(error.filename)), error)
            _tell(name, error)
            suggest(name, list(filter(overrides, arguments)))
        raise SystemExit(1) from error
    finally:
        Ended.words, sys.argv = outer, started
        Table.show_last()


@contextmanager
def _set(name: str, value: str | None) -> Iterator[None]:
    """An environment variable for a while; None: not there."""
    before = dict(os.environ)
    os.environ.pop(name, None)
    os.environ.update({} if value is None else {name: value})
    try:
        yield
    finally:
        os.environ.pop(name, None)
        os.environ.update({name: before[name]} if name in before else {})


def _tell(program: str, error: BaseException, cfg: DictConfig | None = None) -> None:
    """A mistake in one message; a traceback where it is likely ours. `Ended` where a signal has
    made it, nothing where the first of several processes has told it."""
    refuse_hidden(error)
    if told_by_the_first():
        return
    message = readable(error, program)
    if message is not None and cfg is not None:
        message = told(message, cfg)
    if message is None:
        traceback.print_exception(error)
    else:
        print(f"error: {printable(message)}", file=sys.stderr, flush=True)


def _searched(name: str, arguments: list[str]) -> list[str]:
    """--config-dir DIR as an override, where it is given."""
    folder = _config_dir(arguments)
    return [] if folder is None else [searched(name, f"hydra.searchpath=[file://{folder}]")]


def _config_dir(arguments: list[str]) -> Path | None:
    """DIR of --config-dir DIR or --config-dir=DIR."""
    for name, folder in pairwise([*arguments, ""]):
        name, _, joined = name.partition("=")
        if name in ("--config-dir", "-cd"):
            return Path(joined or folder).expanduser().absolute()
    return None


def _help(name: str, arguments: list[str]) -> list[str]:
    """Print the program's help; where it cannot be composed, what to ask Hydra that tells why."""
    others = [argument for argument in arguments if argument not in ("--help", "-h")]
    try:
        print(manual(name, [*_searched(name, others), *filter(overrides, others)]))
    except (HydraException, OmegaConfBaseException):
        return [*others, "--cfg", "job"]
    return []
