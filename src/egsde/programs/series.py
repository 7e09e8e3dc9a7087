"""After a run: containers of its slices, and how much its series flicker."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from egsde.data import TwoDomains, Written
from egsde.data.containers import Slices, is_slice, place_of
from egsde.data.kinds import raster
from egsde.data.series import grouped, series_of
from egsde.disk import whole
from egsde.evaluation.metrics import Flicker
from egsde.opened import picture_bytes
from egsde.programs.callbacks import Report
from egsde.programs.callbacks.rows import ids_of


def bind(data: TwoDomains, split: str, written: Written) -> list[str]:
    """Write out/images/CONTAINER of each series of slices; what was not translated stays as it was.

    Gives what there is to say of it.
    """
    names = grouped(ids_of(data, split))
    if not names:
        return []
    images: Any = data.images(data.source if data.degradation is None else data.target, split)
    files: Slices = images.files
    told = []
    for series, ids in names.items():
        made = {place_of(name)[1]: _pixels(written, name, data.channels) for name in ids}
        every = [name for name in images.ids if is_slice(name) and series_of(name) == series]
        if len(ids) < len(every):
            told.append(f"{series}: {len(ids)} of {len(every)} slices are translated; the others "
                        "are the source's")  # fmt: skip
        for below, content in files.bound(images.paths[ids[0]], made).items():
            name = os.path.normpath(os.path.join(place_of(ids[0])[0], below))
            place = written.folder / written.place(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole(place) as temporary:
                temporary.write_bytes(content)
    return told


def _pixels(written: Written, name: str, channels: int) -> np.ndarray:
    path = written.path(name)
    return raster(path.name, picture_bytes(path), channels).pixels


def flicker_of(data: TwoDomains, split: str, written: Written) -> dict[str, dict[str, float]]:
    """dict(flicker, flicker_source) of each image that follows its neighbour in a series, by id."""
    images: Any = data.translations(split)
    every, chosen, writer = images.dataset.ids, set(images.indices), data.writer(split)
    places = {name: place for place, name in enumerate(every)}

    def frame(name: str) -> tuple[Tensor, Tensor] | None:
        saved = writer.read(name, written.path(name)) if places[name] in chosen else None
        return None if saved is None else (saved[0], images.dataset[places[name]]["x0"])

    flicker = Flicker(data.keys.series is not None)
    return dict(found for names in flicker.series(every) for found in flicker.of(names, frame))


def finish(data: TwoDomains, split: str, written: Written, report: Report) -> None:
    """Write the containers; flicker goes into the report."""
    for told in bind(data, split, written):
        print(told)
    report.per_image = with_flicker(
        report.per_image, flicker_of(data, split, written), ids_of(data, split), report.metrics
    )


def with_flicker(
    rows: list[dict[str, Any]], found: Mapping[str, Mapping[str, float]], ids: Sequence[str],
    metrics: dict[str, float],
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of images with their flicker, whose means go into metrics."""
    if not found:
        return rows
    known = {row["id"]: row for row in rows}
    for key in next(iter(found.values())):
        metrics[key] = sum(values[key] for values in found.values()) / len(found)
    return [{**known.get(name, {"id": name}), **found.get(name, {})} for name in ids]
