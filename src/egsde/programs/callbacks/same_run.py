"""A Weights & Biases run: named after its folder, grouped with its sweep, the same when it goes on.

Its id is kept in the folder; under `wandb agent` the id is the agent's.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.disk import refuse_link

GROUP = "WANDB_RUN_GROUP"  # W&B's own: a launcher tells its jobs by it
OF_FOLDER = {"entity", "project", "mode", "disabled"}  # what `wandb init` and `wandb offline` write
FLUSH, SECONDS = "x_transaction_log_flush_interval", 1.0  # what a kill takes of an offline run
TAGGED = ("model", "translator", "data", "sde", "experiment", "likelihood")  # groups of conf


def same_run(
    out: str | Path,
    id: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    project: str | None = "egsde",
    offline: bool = False,
    resume: str | bool | None = "allow",
    **options: Any,
) -> WandbLogger:
    """The logger of the run whose id out/wandb/id holds; written there the first time.

    name: by default the folder's, with the sweep's before it. group: the sweep's folder, if any.
    job_type: the program. offline: rows are on the disk within a second, not when a block is full.
    tags: the options chosen of model=, translator=, data= and others. ValueError where a file in
    the working folder, which may be anyone's, says where W&B's key is sent.
    """
    if not offline:
        check_folder()
    kept = Path(out) / "wandb" / "id"
    for path in (kept.parent, kept):
        refuse_link(path)
    if id is None and kept.is_file() and kept.stat().st_size <= 100:
        said = kept.read_text(errors="replace").strip()
        id = said if re.fullmatch(r"[\w-]{1,64}", said) else None
    id = id or os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)
    _keep(kept, id)
    place = Path(out).absolute()
    if offline:
        options.setdefault("settings", _flushed())
    group = group or sweep_of() or os.environ.get(GROUP)
    logger = WandbLogger(
        id=id,
        save_dir=out,
        name=name or (f"{group}/{place.name}" if group else place.name),
        group=group,
        job_type=job_type or program(),
        tags=list(chosen() if tags is None else tags),
        project=project,
        offline=offline,
        resume=resume,
        **options,
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning's None, of which W&B warns
    return logger


def check_folder() -> None:
    """ValueError for settings of W&B in the working folder that `wandb init` does not write."""
    for name in ("wandb", ".wandb"):
        file = Path(os.environ.get("WANDB_DIR") or ".") / name / "settings"
        if not file.is_file():
            continue
        keys = re.findall(r"^\s*([\w.-]+)\s*[=:]", file.read_text(errors="replace"), re.MULTILINE)
        for key in keys:
            if key not in OF_FOLDER and f"WANDB_{key.upper()}" not in os.environ:
                raise ValueError(
                    f"{file.absolute()} sets {key} of W&B, and such settings say where your key is "
                    f"sent: remove the line, or set WANDB_{key.upper()} yourself"
                )


def _flushed() -> dict[str, Any]:
    """Settings that write an offline run's rows within SECONDS, where this W&B can."""
    import wandb  # takes half a second, and most runs do without

    known = getattr(wandb.Settings, "model_fields", {})
    return {FLUSH: SECONDS} if FLUSH in known else {}


def sweep_of() -> str | None:
    """The name of the folder of the sweep that runs, if one does."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return Path(str(HydraConfig.get().sweep.dir)).absolute().name


def program() -> str:
    """train, sample or evaluate."""
    if HydraConfig.initialized() and (named := HydraConfig.get().job.config_name) != "config":
        return str(named)
    return Path(sys.argv[0]).stem


def chosen() -> list[str]:
    """The options that say what a run is."""
    if not HydraConfig.initialized():
        return []
    choices = HydraConfig.get().runtime.choices
    found = (choices.get(group) for group in TAGGED)
    return [str(name) for name in dict.fromkeys(found) if name not in (None, "none", "default")]


@rank_zero_only
def say_where(run: Any) -> None:
    """The one line about a run that has ended: where its page is, or how it gets one."""
    offline = getattr(run.settings, "_offline", False) or not run.url
    print(f"W&B: wandb sync {Path(run.dir).parent}" if offline else f"W&B: {run.url}")


@rank_zero_only
def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
