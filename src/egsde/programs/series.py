"""After a run: containers of its slices, and how much its series flicker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from egsde.data import TwoDomains, Written
from egsde.data.containers import Slices, is_slice, place_of
from egsde.data.kinds import raster
from egsde.data.series import flicker, series_of
from egsde.disk import whole
from egsde.opened import picture_bytes
from egsde.programs.callbacks import Report
from egsde.programs.callbacks.pictures import as_float
from egsde.programs.callbacks.rows import ids_of


def series_in(ids: Sequence[str], folders: bool) -> dict[str, list[str]]:
    """The images of each series, in order; folders: those of folders, too."""
    found: dict[str, list[str]] = {}
    for name in ids:
        if folders or is_slice(name):
            found.setdefault(series_of(name), []).append(name)
    return found


def bind(data: TwoDomains, split: str, written: Written) -> list[str]:
    """Write out/images/CONTAINER of each series of slices; what was not translated stays as it was.

    Gives what there is to say of it.
    """
    names = series_in(ids_of(data, split), folders=False)
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


def flicker_of(data: TwoDomains, split: str, written: Written) -> dict[str, float]:
    """Of each image that follows its neighbour in a series, by id: the change between the two less
    that of their sources, black to white being 1."""
    images: Any = data.translations(split)
    every, chosen, writer = images.dataset.ids, set(images.indices), data.writer(split)
    places = {name: place for place, name in enumerate(every)}
    found: dict[str, float] = {}
    for names in series_in(every, data.keys.series is not None).values():
        before: tuple[Tensor, Tensor] | None = None
        for name in names if len(names) > 1 else ():
            saved = writer.read(name, written.path(name)) if places[name] in chosen else None
            if saved is None:
                before = None
                continue
            y, x = as_float(saved[0]), images.dataset[places[name]]["x0"]
            if before is not None and before[0].shape == y.shape == x.shape:
                pairs = (torch.stack(both) for both in zip(before, (y, x), strict=True))
                found[name] = flicker(*pairs) / 2
            before = y, x
    return found


def finish(data: TwoDomains, split: str, written: Written, report: Report) -> None:
    """Write the containers; flicker goes into the report."""
    for told in bind(data, split, written):
        print(told)
    if found := flicker_of(data, split, written):
        rows = {row["id"]: row for row in report.per_image}
        report.per_image = [rows.get(name, {"id": name}) for name in ids_of(data, split)]
        for row in report.per_image:
            row |= {"flicker": found[row["id"]]} if row["id"] in found else {}
        report.metrics["flicker"] = sum(found.values()) / len(found)
