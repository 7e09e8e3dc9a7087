"""A search with Optuna whose trials are kept in a database: asked before it begins.

The database may be anyone's. Nothing in it is unpickled, it holds tables and nothing that computes,
and the numbers of another search are not taken for those of this one.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from egsde.programs.resumed import flat
from egsde.programs.secrets import recorded

SERVERS = ("mysql", "postgresql")
TABLES = re.compile(r"(stud(y|ies)|trials?)(_\w+)?|version_info|alembic_version|sqlite_\w+")
COMPUTED = re.compile(r"\bAS\s*\(|\bGENERATED\b", re.IGNORECASE)  # columns of SQLite
PICKLED = re.compile(r"cma", re.IGNORECASE)  # samplers that keep their state as a pickle
MARK = "egsde"  # of a study: what its numbers are of
ELSE = "name another file, or hydra.sweeper.storage=null, which keeps none"


def check_search(config: DictConfig) -> int:
    """How many trials a search has begun before; ValueError for a database of trials that is none,
    is anyone else's or of another search.

    config: as Hydra has composed it, with its own node.
    """
    sweeper = config.hydra.sweeper
    storage = sweeper.get("storage")
    if storage is None:
        return 0
    what = f"hydra.sweeper.storage={storage}"
    kind, there, place = str(storage).partition("://")
    kind = kind.split("+")[0]
    if not there or kind not in ("sqlite", *SERVERS):
        redis = "; Redis keeps pickles, which run what is in them" if "redis" in kind else ""
        raise ValueError(
            f"{what} is no database of SQL: sqlite:///FILE.db is one, and {' and '.join(SERVERS)} "
            f"have servers{redis}"
        )
    if PICKLED.search(str((sweeper.get("sampler") or {}).get("_target_", ""))):
        raise ValueError(
            f"{what} with a sampler of CMA-ES would open pickles that lie in the database, which "
            "run what is in them; take hydra/sweeper/sampler=tpe, or hydra.sweeper.storage=null"
        )
    if kind == "sqlite" and (name := place.split("?")[0].removeprefix("/")):
        _check_file(what, Path(name))
    return _same(what, sweeper, _of(config))


def go_on(config: DictConfig, begun: int) -> None:
    """Number the folders of its jobs as the database numbers its trials, and draw other points."""
    with read_write(config.hydra), open_dict(config.hydra):
        number = f"${{plus:{begun},${{hydra.job.num}}}}"
        config.hydra.overrides.hydra.append(f"hydra.sweep.subdir='{number}'")
        if isinstance(seed := OmegaConf.select(config, "hydra.sweeper.sampler.seed"), int):
            config.hydra.sweeper.sampler.seed = seed + begun


def _check_file(what: str, path: Path) -> None:
    """ValueError unless it is not there yet, or holds tables of Optuna alone."""
    if not path.parent.is_dir():
        raise ValueError(f"{what}: the folder {path.parent.absolute()} is not there; make it first")
    if path.is_dir():
        raise ValueError(f"{what}: {path} is a folder; {ELSE}")
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = opened.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            for sort, name, text in found:
                if sort not in ("table", "index") or COMPUTED.search(text or ""):
                    raise ValueError(f"{what}: {path} computes in its {sort} {name}; {ELSE}")
                if sort == "table" and not TABLES.fullmatch(name):
                    raise ValueError(
                        f"{what}: {path} is the database of another program, with a table {name}; "
                        f"{ELSE}"
                    )
            whole = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            opened.close()
    except sqlite3.Error as error:
        raise ValueError(f"{what}: {path} cannot be read as SQLite ({error}); {ELSE}") from error
    if whole != "ok":
        raise ValueError(f"{what}: {path} is damaged ({' '.join(whole.split())[:120]}); {ELSE}")


def _of(config: DictConfig) -> dict[str, Any]:
    """What the numbers of a search depend on, beside what is searched."""
    from egsde.programs.records import weights_in  # needs what a program needs

    plain = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    searched = {str(key) for key in config.hydra.sweeper.get("params") or {}}
    given = [str(o) for o in config.hydra.overrides.task]
    free = {*searched, "out", "hparams_search"}
    kept = [o for o in given if o.lstrip("+").split("=")[0] not in free]
    return {
        "program": str(config.hydra.job.name),
        "objective": str(config.get("objective")),
        "settings": sorted(kept),
        "weights": weights_in(recorded(plain)),
    }


def _same(what: str, sweeper: DictConfig, now: dict[str, Any]) -> int:
    """How many trials the study in the database has; it is marked where new, and ValueError where
    it is of other settings."""
    import optuna

    wanted = sweeper.get("direction", "minimize")
    several = OmegaConf.is_list(wanted)
    directions = [str(getattr(one, "name", one)) for one in (wanted if several else [wanted])]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, storage = sweeper.get("study_name"), str(sweeper.storage)
    try:
        if name in {found.study_name for found in optuna.get_all_study_summaries(storage)}:
            study = optuna.load_study(study_name=name, storage=storage)
        else:
            study = optuna.create_study(
                study_name=name, storage=storage, directions=directions, load_if_exists=True
            )
        before = study.user_attrs.get(MARK)
        begun = len(study.get_trials(deepcopy=False))
        known = [direction.name.lower() for direction in study.directions]
        if before is None and not begun:
            study.set_user_attr(MARK, now)
    except Exception as error:  # whatever Optuna, SQLAlchemy and a server's driver say
        why = " ".join(str(error).split())[:200] or _unfit() or type(error).__name__
        raise ValueError(f"{what} cannot be used: {why}; {ELSE}") from error
    another = f"hydra.sweeper.study_name=NAME begins another; {name}"
    if [d.lower() for d in directions] != known:
        raise ValueError(f"{what}: {another} was of the direction {known}, and is {directions}")
    if before is None and begun:
        raise ValueError(f"{what}: {another} holds trials of another program")
    old, new = flat(before or now), flat(json.loads(json.dumps(now)))
    if changed := [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]:
        told = "; ".join(f"{k} was {old.get(k)}, is {new.get(k)}" for k in changed[:3])
        raise ValueError(f"{what}: {another} holds the numbers of another search: {told}")
    return begun


def _unfit() -> str:
    """What helps Optuna 2, which keeps nothing by SQLAlchemy 2."""
    from importlib.metadata import version

    two = version("optuna").startswith("2.") and not version("sqlalchemy").startswith("1.")
    return 'Optuna 2 needs pip install "SQLAlchemy<2"' if two else ""
