"""What every command line begins with: signals are heard before anything that takes long is
imported."""

from __future__ import annotations

import atexit
import difflib
import logging
import os
import sys
from importlib import import_module

import egsde
from egsde.disk import remove_empty
from egsde.programs.ended import Ended, deaf, ending, follow, look, tell
from egsde.programs.lasting import outputs
from egsde.programs.pages import keep_pages

PROGRAMS = {  # a program and where its function is; imported once the configuration is known
    "train": "egsde.programs.train",
    "sample": "egsde.programs.sample",
    "evaluate": "egsde.programs.evaluate",
    "likelihood": "egsde.programs.likelihood",
    "export": "egsde.programs.export",
}
TOOLS = {  # what takes runs, not settings; each has a main(arguments)
    "report": "egsde.programs.report",
    "compare": "egsde.programs.compare",
    "pairs": "egsde.programs.pairs",
    "demo": "egsde.programs.demo",
    "tune": "egsde.programs.tune",
    "study": "egsde.programs.study",
}


def main() -> None:
    """`egsde NAME ...` and `python -m egsde NAME ...`: what `python NAME.py ...` does."""
    names = ", ".join(name for name in PROGRAMS if name != "likelihood")
    tools = ", ".join(TOOLS)
    given = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if given in ("--help", "-h"):
        print(f"egsde NAME [group=option] [key=value], where NAME is one of {names}")
        print(f"egsde TOOL RUN ..., where TOOL is one of {tools}, looks at what they have left")
        print("egsde NAME --help lists what a program takes")
    elif given == "--version":
        print(egsde.__version__)
    elif given in PROGRAMS or given in TOOLS:
        _start(given, sys.argv[2:])
    else:
        close = difflib.get_close_matches(given, [*PROGRAMS, *TOOLS], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        print(f"egsde has no program {given!r}, only {names}, {tools}{hint}", file=sys.stderr)
        raise SystemExit(2)


def train() -> None:
    """`python train.py`."""
    _start("train", sys.argv[1:])


def sample() -> None:
    """`python sample.py`."""
    _start("sample", sys.argv[1:])


def evaluate() -> None:
    """`python evaluate.py`."""
    _start("evaluate", sys.argv[1:])


def _start(name: str, arguments: list[str]) -> None:
    """A program or a tool, which a signal ends in words wherever it is."""
    keep_pages()
    with outputs():
        try:
            with ending():
                follow()
                try:
                    cli = import_module("egsde.programs.cli")  # with Hydra, which takes a second
                except Exception:  # of a module that a signal has left half made
                    look()
                    raise
                (cli.run if name in PROGRAMS else cli.use)(name, arguments)
        except Ended as error:
            if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes the first one tells
                if error.out is not None:
                    remove_empty(error.out)
                tell(error, error.standing, error.out)
            logging.disable()  # what a library logs at its end would be the last word
            raise SystemExit(error.code) from None
        finally:
            atexit.register(deaf)
