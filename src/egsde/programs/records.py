"""Whose a run's folder is, and what its images were made with: run.json and the checks of it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from egsde.data import Written
from egsde.disk import read_object, refuse_link, refuse_taken, sha256_of_file, whole
from egsde.old_names import current
from egsde.programs.resumed import differences, flat

# What may differ between a translation run and its continuation: it changes no image.
FREE = ("out", "trainer", "logger", "metrics", "limit", "columns", "objective", "check", "shard",
        "trajectory", "report", "uncertainty", "outside",
        "data.limit", "data.colours", "data.batch_size", "data.eval_batch_size",
        "data.num_workers")  # fmt: skip
WRITTEN = ("images", "slices", "uncertainty", "previews", "checkpoints", "run.json",
           "metrics.json", "images.csv", "trajectories", "report.html", "curve.png", "files.csv",
           "grid.png", "seconds.csv", "config.yaml", "weights.safetensors",
           "metrics.csv", "likelihood.json", "hparams.yaml", "wandb", "made", "pairs",
           "checkpoints/last.ckpt", "checkpoints/previous.ckpt")  # fmt: skip
FOLDERS = ("images", "slices", "uncertainty", "previews", "trajectories", "checkpoints", "made")
OTHERS = ("wandb", "pairs")  # folders, too, and others put links into them
# Where a file lies: what is in it is compared, a network by its hash and a picture by its mark.
BY_CONTENT = ("data.root", "data.store", "data.cache_mib", "allow")
NETWORK = (".weights", ".allow")  # and of each network
MEASURES = ("judge",)  # another is measured with anew
MARKS = {  # what each program leaves from its beginning on
    "train.py": ("config.yaml", "checkpoints", "weights.safetensors"),
    "evaluate.py": ("likelihood.json",),
    "sample.py": ("metrics.json", "seconds.csv"),
}


def claim(out: Path, program: str) -> None:
    """ValueError where the folder holds what another program wrote: none overwrites another's."""
    refuse_links(out)
    owner = owner_of(out)
    if owner not in (None, program):
        raise ValueError(
            f"{out} is the folder of a run of {owner}, whose files {program} would overwrite; give "
            "a folder of its own: out=..."
        )


def refuse_links(out: Path) -> None:
    """ValueError for a link in a run's folder, where writing would go elsewhere, and for a file in
    the place of a folder."""
    for name in WRITTEN:
        refuse_taken(out / name, folder=name in FOLDERS + OTHERS)
    for name in FOLDERS:
        for path in links(out / name):
            refuse_link(path)


def links(folder: Path) -> Iterator[Path]:
    """Links below a folder; what they lead to is not looked at."""
    waiting = [str(folder)] if folder.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:  # tells links without asking for each file
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path)
                elif entry.is_dir():
                    waiting.append(entry.path)


def owner_of(out: Path) -> str | None:
    """The program that a folder's files come from; None where there are none of them."""
    record = out / "run.json"
    if record.is_file() and (named := read_record(record).get("program")) is not None:
        return str(named)
    for program, names in MARKS.items():
        if any((out / name).exists() for name in names):
            return program
    return "sample.py" if record.is_file() else None


def read_record(path: Path) -> dict[str, Any]:
    """run.json; ValueError where it is none."""
    record = read_object(path, "use another out= folder")
    if not all(isinstance(record.get(key) or {}, dict) for key in ("config", "weights")):
        raise ValueError(f"{path} is damaged: its configuration or weights are no object")
    return current(record)


def recipe(record: dict[str, Any]) -> str:
    """The hash of what all images of a run share: its configuration and its networks. A run that
    goes on keeps the one that it began with."""
    if "recipe" in record:
        return str(record["recipe"])
    text = json.dumps(_made_with(record), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def continued(
    out: Path, record: dict[str, Any], given: Iterable[str] = (), many: bool = False
) -> dict[str, Any]:
    """The record with the recipe and the layout of the folder's images, or its own in a new folder.

    ValueError where out/images holds what this run did not make: without run.json any file there
    is foreign; with it the settings and networks must agree. given: keys that the command sets.
    many: a new run puts its images into folders.
    """
    path = out / "run.json"
    if not path.exists():
        written = Written(out, many)
        if found := list(written.listed()):
            shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise ValueError(
                f"{written.folder} holds {len(found)} files ({shown}), and no run.json says that "
                "they are this run's; use another out= folder, or move them away"
            )
        return record | {"recipe": recipe(record)} | written.record
    old, new = read_record(path), json.loads(json.dumps(record))
    before, now = (
        {"config": current(r.get("config", {})), "weights": r.get("weights", {})}
        for r in (old, new)
    )
    free = [f"config.{key}" for key in (*FREE, *BY_CONTENT, *MEASURES)]
    free += [key for side in (before, now) for key in flat(side["config"], "config")
             if key.endswith(NETWORK)]  # fmt: skip
    if changed := differences(before, now, free, [f"config.{key}" for key in given]):
        raise ValueError(
            f"{out} holds images of another run ({'; '.join(changed[:5])}); use another out= "
            "folder, or the same settings to continue it"
        )
    return record | {"recipe": recipe(old)} | Written.recorded(out, old).record


def refuse_inside(out: Path, domains: Sequence[str], root: str | None) -> None:
    """ValueError where the run would write its pictures among those it reads: the next would read
    them, too."""
    for domain in domains:
        place = Path(root or "", domain).expanduser()
        if place.is_dir() and place.resolve() in (out.resolve(), *out.resolve().parents):
            raise ValueError(
                f"out={out} lies in the folder of the domain {domain!r}, whose images the run's "
                "own pictures would become; give a folder outside: out=..."
            )


def _made_with(record: dict[str, Any]) -> dict[str, Any]:
    """What decides about the images, by dotted keys."""
    every = flat({key: record.get(key, {}) for key in ("config", "weights")})
    free = tuple(f"config.{key}" for key in FREE)
    return {
        k: v
        for k, v in every.items()
        if not (k.endswith(".allow") or any(k == f or k.startswith(f + ".") for f in free))
    }


def weights_in(config: Mapping[str, Any]) -> dict[str, str]:
    """The hash of every network's file that a configuration names, by its key."""
    places = {key: Path(str(value)).expanduser() for key, value in flat(config).items()
              if key.endswith(".weights") and isinstance(value, str)}  # fmt: skip
    return {key: sha256_of_file(path) for key, path in places.items() if path.is_file()}


def write_json(path: Path, content: dict[str, Any], shared: bool = False) -> None:
    """Whole or not at all (shared: see `whole`); NaN and infinity become null."""
    text = json.dumps(finite(content), indent=2, allow_nan=False)
    with whole(path, shared) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """The same with None for NaN and infinity."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
