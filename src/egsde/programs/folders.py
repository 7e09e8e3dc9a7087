"""The folder of a run: new and its own where none is named, and never an old one by accident.

`out: ${new_folder:outputs/score}` names outputs/score-<time> and claims it by creating it. A run's
config.yaml, or what --cfg job prints, makes another run when it is given back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from egsde.programs.line import overrides
from egsde.programs.messages import readable
from egsde.programs.trusted import check_hydra, check_size, check_started, nodes

NEEDED = {  # what conf's own files say of Hydra, and a given-back file does not
    "hydra.run.dir": "${out}",
    "hydra.sweep.dir": "${out}",
    "hydra.sweep.subdir": "${hydra.job.num}",
    "hydra.output_subdir": "null",
    "hydra.job.chdir": "false",
    "hydra/job_logging": "stdout",
    "++hydra.callbacks.table._target_": "egsde.programs.sweep.Table",
}
REFERENCE = re.compile(r"\$\{\.*(?!hydra\b)[A-Za-z_][\w.]*\}")  # to a value, not a resolver
WRITES = ("out", "dirpath", "save_dir", "dir")  # of any part
BELOW = ("name", "version", "sub_dir")  # a folder in save_dir
_claimed: dict[str, str] | None = None  # None: nothing is created, as when settings are printed


@contextmanager
def claiming(on: bool) -> Iterator[None]:
    """While a program runs, its default folder is created once, however often it is asked for."""
    global _claimed
    before, _claimed = _claimed, {} if on else None
    try:
        yield
    finally:
        _claimed = before


def claimed() -> Path | None:
    """The folder that the program has created for itself, if any."""
    return next(map(Path, (_claimed or {}).values()), None)


def new_folder(prefix: str) -> str:
    """PREFIX-<time>, and -2, -3, ... where runs of one second meet."""
    if _claimed is not None and prefix in _claimed:
        return _claimed[prefix]
    plain = f"{prefix}-{datetime.now():%Y-%m-%d_%H-%M-%S}"
    if _claimed is None:
        return plain
    for k in count(1):
        path = Path(plain if k == 1 else f"{plain}-{k}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            continue
        _claimed[prefix] = str(path)
        break
    return _claimed[prefix]


def given_back(program: str, arguments: Sequence[str]) -> list[str]:
    """The arguments with what a configuration that is given back needs to be a run of its own.
    ValueError where that file is none."""
    words = [part for a in arguments for part in (a.split("=", 1) if a[:2] == "--" else [a])]
    options = dict(pairwise(words))
    folder = next((options[o] for o in ("--config-path", "-cp") if o in options), None)
    if folder is None:
        return list(arguments)
    place = Path(folder).expanduser().absolute()
    name = next((options[o] for o in ("--config-name", "-cn") if o in options), program)
    file = place / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if not file.is_file():
        return list(arguments)
    # Hydra would look for a relative path beside its own program.
    found = [str(place) if a == folder else a.replace(f"={folder}", f"={place}") for a in arguments]
    try:
        content = check_size(yaml.safe_load(file.read_text(encoding="utf-8")))
        check_hydra(content)
        check_started(program, str(place), name, [a for a in found if overrides(a)])
        keys = {argument.split("=", 1)[0].lstrip("+") for argument in arguments}
        found += [f"{key}={value}" for key, value in NEEDED.items() if key.lstrip("+") not in keys]
        out = content.get("out", "${") if isinstance(content, dict) else "${"
        if "out" not in keys and "${" not in str(out):
            found.append(f"out=${{new_folder:outputs/{content.get('kind') or program}}}")
        check_started(program, str(place), name, [a for a in found if overrides(a)])
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{file}: {error}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(f"{file}: {readable(error, program)}") from error
    return found


def to_give_back(
    config: Mapping[str, Any], cfg: DictConfig, out: Path, prefix: str
) -> dict[str, Any]:
    """A plain configuration whose paths in the folder follow `out`, which is new each time.

    cfg: the same with its references. A value that was another's (data.limit: ${limit}) still is,
    so that limit=2 reaches what it reaches without the file.
    """
    old = str(config["out"])

    def follow(node: Any, text: Any) -> Any:
        if isinstance(node, dict):
            inside = text if isinstance(text, dict) else {}
            return {key: follow(value, inside.get(key)) for key, value in node.items()}
        if isinstance(node, list):
            each = text if isinstance(text, list) else [None] * len(node)
            return [follow(value, inner) for value, inner in zip(node, each, strict=True)]
        if isinstance(text, str) and REFERENCE.fullmatch(text):
            return text
        if isinstance(node, str) and (node == old or node.startswith(f"{old}/")):
            return "${out}" + node[len(old) :]
        return node

    written = OmegaConf.to_container(cfg, resolve=False)
    return follow(dict(config), written) | {"out": f"${{new_folder:{prefix}}}"}


def refuse_elsewhere(config: Mapping[str, Any], out: Path) -> None:
    """ValueError where a part would write elsewhere than into the folder of its run."""
    home = os.path.abspath(out)
    for place, part in nodes(config):
        for name, value in part.items() if place and isinstance(part, Mapping) else ():
            key, above = f"{place}.{name}", part.get("save_dir")
            writes = name in WRITES or key == "data.pairs" or (above and name in BELOW)
            if value is None or not writes:
                continue
            there = os.path.abspath(os.path.join(above or "", str(value)))
            if not Path(there).is_relative_to(home):
                raise ValueError(
                    f"{key}={value} is not in this run's folder {out}, and files there would be "
                    f"overwritten; say {key}='${{out}}'"
                )
