"""egsde compare RUN RUN [RUN ...] out=DIR [images=N] [names=A,B,...]

Puts runs side by side: compare.html with their pictures, numbers, frontier and differences with
intervals, compare.csv, frontier.png. Runs of different image sets are compared on what they share.

RUN       the out= folder of sample.py or of evaluate.py (which measures any folder of pictures), or
          the folder of a sweep, whose jobs are compared
out       where the three files go
images    how many images are shown; without it what a page of 5 MB holds
names     what the runs are called; without it as their folders
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from egsde.evaluation.pages.compare import write_compare
from egsde.evaluation.pages.comparison import System, shared
from egsde.programs.lock import held
from egsde.programs.opened import Opened, key_of, opened
from egsde.programs.records import FREE, read_record
from egsde.programs.words import Usage, split, whole_number


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde compare RUN RUN out=DIR."""
    runs, settings = split(
        "compare", arguments, out=(str, None), images=(whole_number(1), None), names=(str, None)
    )
    if not runs:
        raise Usage("name the folders of runs: egsde compare RUN RUN out=DIR")
    if not settings["out"]:
        raise Usage("say where the comparison goes: out=DIR")
    folders = [job for run in runs for job in jobs(Path(run).expanduser())]
    names = settings["names"].split(",") if settings["names"] else None
    out = Path(settings["out"]).expanduser()
    with held(out):
        paths = compare(folders, out, settings["images"], names)
    print(f"a page to look at: {paths[0]}; {paths[1].name} and {paths[2].name} lie beside it")


def compare(
    folders: Sequence[Path],
    out: Path,
    images: int | None = None,
    names: Sequence[str] | None = None,
) -> list[Path]:
    """The comparison of runs by their folders; ValueError where they share no image."""
    systems, keys, notes = systems_of(folders, names)

    def beside(key: str) -> Mapping[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for system in systems:
            found = {**system.pictures[key](), **found}
        return found

    out.mkdir(parents=True, exist_ok=True)
    return write_compare(out, systems, keys, beside, images, notes)


def systems_of(
    folders: Sequence[Path], names: Sequence[str] | None = None
) -> tuple[list[System], list[str], list[str]]:
    """Runs by their folders, the images that all of them have of the same sources, and sentences
    on what is left out; ValueError where they share no image."""
    if len(folders) < 2:
        raise ValueError(
            f"a comparison needs two runs at least, got {', '.join(map(str, folders))}; a report "
            "of one is egsde report RUN"
        )
    runs = [opened(folder) for folder in folders]
    names = list(names) if names else named(folders)
    if len(names) != len(runs) or len(set(names)) < len(names):
        raise ValueError(
            f"names={','.join(names)} has to name each of the {len(runs)} runs differently"
        )
    systems = [_system(name, run) for name, run in zip(names, runs, strict=True)]
    keys = shared(systems)
    if not keys:
        examples = "; ".join(f"{s.name}: {next(iter(s.pictures), 'none')}" for s in systems)
        raise ValueError(f"the runs share no image by name ({examples}), so nothing is compared")
    notes: list[str] = []
    if len({_data_of(run) for run in runs}) > 1:
        keys, notes = _of_one_source(systems, keys)
    if not keys:
        raise ValueError("the runs' images have the same names and different sources")
    for system in systems:
        if more := len(system.pictures) - len(keys):
            notes.append(
                f"{system.name} has {more} of {len(system.pictures)} images that are not compared, "
                "since not every run has them."
            )
    notes += [note for run in runs for note in run.notes]
    return systems, keys, list(dict.fromkeys(notes))


def _data_of(run: Opened) -> str:
    """What says which sources a run has, as text: without how they are read and how many."""
    config = run.record.get("config") or {}
    data = config.get("data")
    if not isinstance(data, dict):
        return str(run.folder)
    kept = {k: v for k, v in data.items() if f"data.{k}" not in FREE}
    return json.dumps([kept, config.get("split")], sort_keys=True)


def _system(name: str, run: Opened) -> System:
    return System(
        name,
        run.numbers,
        {key_of(image): values for image, values in run.values.items()},
        {key_of(image): pictures for image, pictures in run.pictures.items()},
    )


def _of_one_source(systems: Sequence[System], keys: list[str]) -> tuple[list[str], list[str]]:
    """The images whose source is the same picture in every run that shows one, of one size."""
    kept = []
    for key in keys:
        sources = [p["source"] for s in systems if "source" in (p := s.pictures[key]())]
        same = [p for p in sources if p.shape == sources[0].shape]
        if all(np.array_equal(sources[0], p) for p in same):
            kept.append(key)
    if left := len(keys) - len(kept):
        return kept, [f"{left} images have the same name and different sources: left out."]
    return kept, []


def jobs(folder: Path) -> list[Path]:
    """A run's folder itself, or those of a sweep's jobs that have images, in their order."""
    if (folder / "images").is_dir() or not folder.is_dir() or (folder / "run.json").exists():
        return [folder]
    found = [path for path in folder.iterdir() if (path / "run.json").is_file()]
    return sorted(found, key=lambda p: (not p.name.isdigit(), p.name.zfill(12))) or [folder]


def named(folders: Sequence[Path]) -> list[str]:
    """Short names that differ: folders' own, with those around them where they are alike; a
    sweep's job is called by what it sets that the others do not. ValueError for a run named
    twice."""
    places = [folder.absolute().parts for folder in folders]
    for depth in range(1, max(map(len, places)) + 1):
        names = ["/".join(place[-depth:]) for place in places]
        if len(set(names)) == len(names):
            break
    else:
        raise ValueError("a run is named twice; name each once")
    if len({place[:-1] for place in places}) == 1 and all(n.isdigit() for n in names):
        own = _swept(folders)
        return [f"{n}: {' '.join(o)}" if o else n for n, o in zip(names, own, strict=True)]
    return names


def _swept(folders: Sequence[Path]) -> list[list[str]]:
    """The settings of each job that are not those of all."""
    words = []
    for folder in folders:
        record = folder / "run.json"
        command = read_record(record).get("command") if record.is_file() else None
        words.append([w for w in shlex.split(command or "")[2:] if not w.startswith("out=")])
    common = set(words[0]).intersection(*words[1:])
    return [[word for word in job if word not in common] for job in words]
