"""What an error says to the person at the command line."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import warnings
from collections.abc import Iterator

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

ENGINES = {  # of sweeps, which are packages of their own; and what needs none of them
    "hydra/sweeper/optuna": ("sweep", "hparams_search=grid"),
    "hydra/launcher/submitit_local": ("sweep", "hydra/launcher=subprocess"),
    "hydra/launcher/submitit_slurm": ("sweep", "hydra/launcher=subprocess"),
    "hydra/launcher/joblib": ("sweep", "hydra/launcher=subprocess"),
    "hydra/launcher/ray": ("ray", "hydra/launcher=subprocess"),
}
LOGIN = (
    "Weights & Biases knows no account here: `wandb login`, or logger.wandb.offline=true, which "
    "needs none, or logger=csv"
)
MEMORY = (
    "out of memory: use a smaller {key}, score.autocast=true, or an idle device"  # of any device
)
BATCH = {"train": "data.batch_size", "sample": "data.eval_batch_size",
         "likelihood": "data.eval_batch_size", "evaluate": "set of images",
         "export": "data.size"}  # fmt: skip
COMMANDS = {"likelihood": "evaluate"}  # a program whose command is another's
UNKNOWN = re.compile(r"Could not override '(.+?)'|Key '\w+' is not in struct\s+full_key: (\S+)")
MERGED = re.compile(r"Error merging override \+*(\S+?)=(.*)")
ABSENT = re.compile(r"Could not find '([^']+)/([^'/]+)'")
SEVERAL = re.compile(r"Ambiguous value for argument '(.+?)'\n")
WORKER = re.compile(r"DataLoader worker .*?(?:killed by signal: (.+?)\.? |exited unexpectedly)")
CAUGHT = re.compile(r"Caught (\w+) in .* process \d.*\n(?:[\w.]+\.)?\1: (.*)", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
OURS = ("ValueError", "OSError", "MisconfigurationException")


@contextlib.contextmanager
def in_sentences() -> Iterator[None]:
    """Warnings as what they say, without the line of code that says it."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {printable(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def printable(text: object) -> str:
    """A text in which names from files move no cursor of a terminal and ring no bell."""
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], str(text))


def readable(error: BaseException, program: str = "train") -> str | None:
    """What to tell about an error of a value or a file; None for one that deserves a traceback."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or error.key
        return f"{key} is not given; add {key}=..."
    if names & {"OutOfMemoryError", "MemoryError"} or "can't allocate memory" in str(error):
        return MEMORY.format(key=BATCH[program])
    if "UsageError" in names and "api key" in str(error).lower().replace("_", " "):
        return LOGIN
    if (lost := lost_worker(error)) is not None:
        return f"{lost}. Give the command again"
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        return _composing(error, f"{COMMANDS.get(program, program)}.py")
    if isinstance(error, (FileExistsError, NotADirectoryError)) and error.filename is not None:
        if os.path.islink(error.filename) and not os.path.exists(error.filename):
            return (
                f"{error.filename} is a link to {os.readlink(error.filename)}, which is not there"
            )
        return f"{error.filename} is a file, or lies in one, and a folder is wanted: name another"
    if (inside := CAUGHT.search(str(error))) is not None:  # from a process that reads images
        return inside[2] if {*names, inside[1]} & set(OURS) else None
    return str(error) if names & set(OURS) else None


def lost_worker(error: BaseException) -> str | None:
    """That a process which reads images has died, and what helps, if this is what an error says, or
    one that it has met on its way: PyTorch raises it wherever the program is. What is raised from
    None has told it already."""
    first: BaseException | None = error
    while first is not None and (found := WORKER.search(f"{first} ")) is None:
        met = None if first.__suppress_context__ else first.__context__
        first = first.__cause__ or met
    if first is None or found is None:
        return None
    ended = f" ({found[1]})" if found[1] else ""
    return (
        f"a process that reads images has ended{ended}, as where memory, or shared memory "
        "(/dev/shm), is short: fewer of them (data.num_workers=1, or 0 for none), a smaller "
        "data.batch_size and data.cache_mib need less"
    )


def _composing(error: BaseException, program: str) -> str:
    """Hydra's own words, with their cause and without where it has looked; a key that there is
    not, and a comma, in ours."""
    if (unknown := UNKNOWN.match(str(error))) is not None:
        key = unknown[1] or unknown[2]
        part = key.rpartition(".")[0]
        more = f"; one that {part} itself takes is written +{key}=VALUE" if part else ""
        return f"{key} is no setting of {program}{more}"
    merged = MERGED.fullmatch(str(error))
    if merged is not None and "merge DictConfig" in str(error.__cause__):
        key, value = merged.groups()
        return f"{key}={value}, but {key} holds settings by name: {key}.NAME=VALUE"
    if (several := SEVERAL.match(str(error))) is not None:
        given = several[1]
        key, _, value = given.partition("=")
        if re.fullmatch(r"[+-]?\d+,\d+", value):
            right = f"{key}={value.replace(',', '.')}"
            return (
                f"{given} holds a comma, and a decimal has a point: {right}. One run for each is "
                f"python {program} -m {given}, with -m first"
            )
        return (
            f"{given} holds a comma: {key}=[{value}] is a list, '{key}=\"{value}\"' in both quotes "
            f"a text, and one run for each is python {program} -m {given}, with -m first"
        )
    text = str(error).split("\nConfig search path:")[0].rstrip()
    text = text.removeprefix("ValueError raised while resolving interpolation: ")
    text = re.sub(r"\n\t_\w+", "", text)  # options that are parts of others
    for name, (extra, other) in ENGINES.items():
        if f"'{name}'" in text:
            key = "=".join(name.rsplit("/", 1))
            return f'{key} is not installed: pip install "egsde[{extra}]". {other} needs nothing'
    if (absent := ABSENT.search(text)) is not None:
        names = text.partition("Available options in")[2].split("\n\t")[1:]
        if near := difflib.get_close_matches(absent[2].lower(), names, n=1):
            text += f"\ndid you mean {absent[1]}={near[0]}?"
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException) and str(cause) not in text:
        text += f"\n{cause}"
    return re.sub(r"\n\s*(full_key: |object_type=).*", "", text)
