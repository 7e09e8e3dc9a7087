"""The teacher of a student, from what `egsde.load` takes: a run's folder, demo, a weights file."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from egsde.methods.diffusion import networks_of
from egsde.methods.teacher import Teacher
from egsde.networks import sha256_of
from egsde.programs.apart import apart
from egsde.programs.load import PictureTranslator, load
from egsde.scores import ScoreModel
from egsde.scores.blueprints import Allow

ETA = "sampler.solver.eta"  # of a solver that may draw noise


def teacher(
    what: str | Path | None,
    settings: Mapping[str, Any] | None = None,
    segments: int = 2,
    allow: Allow = (),
) -> Teacher:
    """settings: changes to its own configuration, {sampler: {grid: {steps: 20}}}; an eta is 0.
    allow: packages that its files may name, beside ours.

    ValueError where there is none, or one that cannot teach.
    """
    if what is None:
        raise ValueError(
            "a student needs a teacher: give teacher=RUN, a folder of sample.py, or teacher=demo"
        )
    changes = dict(_flat(settings or {}))
    loaded = _loaded(what, changes, allow)
    solver = (loaded.config.get("sampler") or {}).get("solver") or {}
    if solver.get("eta") and ETA not in changes:
        loaded = _loaded(what, {ETA: 0, **changes}, allow)
    networks = networks_of(loaded.translator)
    score: Any = networks.get("score")
    if score is None:
        raise ValueError(
            f"teacher={what} has no score network of the target, which a student needs"
        )
    told = {
        "translator": loaded.config["translator"],
        "weights": {name: sha256_of(net) for name, net in networks.items()},
        "segments": segments,
    }
    recipe = blake2b(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    data = loaded.config["data"]
    images = Path(data["source"]).stem, Path(data["target"]).stem, int(data["size"])
    return Teacher(loaded.translator, score.sde, score, segments, recipe, images)


def _loaded(what: str | Path, changes: Mapping[str, Any], allow: Allow) -> PictureTranslator:
    words = (f"{k}={'null' if v is None else v}" for k, v in changes.items())
    with apart():
        return load(what, *words, allow=allow)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """{sampler: {grid: {steps: 10}}} by the whole keys."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def fake_of(teacher: Teacher) -> ScoreModel:
    """A score model of its own that starts as the teacher's of the target."""
    fake = copy.deepcopy(teacher.score).requires_grad_(True).train()
    fake.calls = 0
    return fake
