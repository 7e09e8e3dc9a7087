"""A run's folder as its pages need it: numbers, and the pictures of each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from egsde.data import Written, output_name, output_names
from egsde.data.domains import stem
from egsde.data.images import decode
from egsde.data.piles import fitted
from egsde.data.shown import shown
from egsde.evaluation import runs
from egsde.evaluation.pages import Shown, Trajectory, load_trajectory, trajectory_path
from egsde.evaluation.reports.grid import as_picture, coloured
from egsde.opened import picture_bytes
from egsde.programs.build import Parts
from egsde.programs.callbacks.uncertainty import MAPS, map_path
from egsde.programs.records import owner_of, read_record
from egsde.programs.remade import check_remade
from egsde.programs.trusted import with_allow

Pictures = Callable[[], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Opened:
    """A run of sample.py or evaluate.py. `pictures`: by image id, in order, what reads its uint8
    (H, W, 3) pictures by kind; values: the numbers of each image by id; notes: what is absent."""

    folder: Path
    record: Mapping[str, Any]
    numbers: Mapping[str, Any]
    values: Mapping[str, Mapping[str, float | None]]
    pictures: Mapping[str, Pictures]
    notes: tuple[str, ...] = field(default=())
    colours: str | None = None  # of pictures of one channel

    def shown(self, chosen: list[str]) -> Iterator[Shown]:
        """The images as a report shows them; those whose files are gone are left out."""
        for name in chosen:
            try:
                pictures = self.pictures[name]()
            except (OSError, ValueError, SyntaxError):
                continue
            way = load_trajectory(trajectory_path(self.folder, output_name(name)))
            yield Shown(name, pictures, self.values.get(name, {}), in_colours(way, self.colours))


def opened(folder: Path, data: Any = None, split: str | None = None) -> Opened:
    """What lies in a run's folder; data and split: the run's own, where they are at hand.

    ValueError where the folder is of no run that has images.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder at {folder.absolute()}; name the out= folder of a run")
    owner = owner_of(folder)
    record = read_record(folder / "run.json") if (folder / "run.json").is_file() else {}
    listed = runs.files(folder)
    if not (folder / "images").is_dir() and not listed:
        there = f"it is one of {owner}" if owner else "it holds no run.json"
        raise ValueError(
            f"{folder} is no run of sample.py or evaluate.py that has left images ({there}); name "
            "the folder that such a run wrote as out="
        )
    notes: list[str] = []
    if data is None and record and not listed:
        try:
            data, split = _data_of(record)
        except Exception as error:  # whatever a foreign record makes of the parts that it names
            notes.append(f"The sources are not shown, since they cannot be opened: {error}")
    metrics = folder / "metrics.json"
    numbers = runs.summary(metrics) if metrics.is_file() else {}
    pictures = _listed(listed) if listed else _pictures(folder, data, split)
    values, colours = _values(folder / "images.csv"), getattr(data, "colours", None)
    if not (pictures or values or numbers):
        raise ValueError(
            f"{folder} holds no pictures and no numbers; name the out= folder of a run"
        )
    return Opened(folder, record, numbers, values, pictures, tuple(notes), colours)


def in_colours(way: Trajectory | None, colours: str | None) -> Trajectory | None:
    """The states of a walk, of one channel, in a colour map."""
    if way is None or colours is None:
        return way
    states, denoised = (coloured(x, colours) for x in (way.states, way.denoised))
    return replace(way, states=states, denoised=denoised)


def _data_of(record: Mapping[str, Any]) -> tuple[Any, str]:
    """The data module of a run's configuration, built of nothing but what conf names."""
    config: Any = record.get("config")
    check_remade(config, ["data"], ())
    parts = Parts(OmegaConf.create(with_allow(config, [])))
    data, split = parts("data"), str(config.get("split", "test"))
    if not hasattr(data, "translations"):
        raise ValueError("run.json names no data set")
    data.translations(split)
    return data, split


def _pictures(folder: Path, data: Any, split: str | None) -> dict[str, Pictures]:
    found: dict[str, Pictures] = {}
    colours = getattr(data, "colours", None)
    if data is not None:
        images = data.translations(split)
        dataset = images.dataset
        places = {dataset.ids[i]: i for i in images.indices}
        written = {output_name(name): name for name in places}
        written |= {path: name for name, path in output_names(places).items()}
    else:
        dataset, places, written = None, {}, {}
    for output, path in Written.of(folder).listed().items():
        if not written or output in written:
            name = written.get(output, output)
            maps = maps_of(folder, name)
            found[name] = _reader(path, dataset, places.get(name), maps, colours)
    return found


def _listed(files: Mapping[str, Mapping[str, Path]]) -> dict[str, Pictures]:
    """Of a run of evaluate.py: the pictures that it was given, brought to the output's size."""

    def reader(paths: Mapping[str, Path]) -> Pictures:
        def read() -> dict[str, np.ndarray]:
            y = shown(paths["output"])
            size = y.shape[1], y.shape[0]
            kinds = {k: Image.fromarray(shown(paths[k])) for k in ("source", "truth") if k in paths}
            beside = {k: np.array(fitted(v, size, "crop")) for k, v in kinds.items()}
            return {"translation": y, **beside}

        return read

    return {name: reader(paths) for name, paths in files.items()}


def maps_of(folder: Path, name: str) -> dict[str, Path]:
    """Where uncertainty= has left maps of an image."""
    there = {kind: map_path(folder, name, kind) for kind in MAPS}
    return {kind: path for kind, path in there.items() if path.is_file()}


def _reader(
    path: Path, dataset: Any, place: int | None, maps: Mapping[str, Path], colours: str | None
) -> Pictures:
    def read() -> dict[str, np.ndarray]:
        pictures = {"translation": coloured(shown(path), colours)}
        if place is not None:
            item = dataset[place]
            kinds = {"source": "x0", "truth": "truth"}
            there = {kind: item[key] for kind, key in kinds.items() if key in item}
            pictures |= {kind: as_picture(x, colours) for kind, x in there.items()}
        return pictures | {kind: np.array(decode(picture_bytes(m))) for kind, m in maps.items()}

    return read


def _values(path: Path) -> dict[str, dict[str, float | None]]:
    return {
        row["id"]: {k: _value(v) for k, v in row.items() if k and k != "id"}
        for row in runs.table(path)
        if row["id"]
    }


def _value(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def key_of(name: str) -> str:
    """What the same image is called in every run: its id without suffixes."""
    return stem(stem(name))
