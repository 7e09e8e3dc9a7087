"""A run's folder as it was left by sample.py or evaluate.py: numbers, rows, and where pictures lie.

    metrics.json  n, nfe, seconds_per_image, protocol, metrics {NAME, NAME_source, NAME_floor, ...},
                  intervals {NAME: [low, high]}
    images.csv    id, then a column a number; a row an image
    files.csv     id, output, source, truth: paths, of evaluate.py
    run.json      program, config, versions, weights

NAME_source is the same number of the untouched sources, NAME_floor of real images of the target in
place of the translations, NAME_truth of the truth's distance.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from egsde.data.written import Written
from egsde.disk import read_object
from egsde.evaluation.intervals import Interval, of_difference

Row = dict[str, float]
AGAIN = "repeat the run"


@dataclass(frozen=True)
class Run:
    """record: run.json; summary: metrics.json; rows: numbers of each image by its id, in order."""

    folder: Path
    record: dict[str, Any]
    summary: dict[str, Any]
    rows: dict[str, Row]
    files: dict[str, dict[str, Path]] = field(default_factory=dict)  # files.csv

    @property
    def name(self) -> str:
        """Its folder's."""
        return self.folder.resolve().name

    @property
    def config(self) -> dict[str, Any]:
        """The settings that it was started with; {} where none are recorded."""
        return self.record.get("config") or {}

    @property
    def metrics(self) -> dict[str, float]:
        """Means and numbers of the set, by name."""
        return self.summary.get("metrics") or {}

    @property
    def intervals(self) -> dict[str, Interval]:
        """(low, high) of 95 % of some of them, by name."""
        return {
            name: (low, high) for name, (low, high) in self.summary.get("intervals", {}).items()
        }

    @property
    def protocol(self) -> dict[str, Any]:
        """How they were measured."""
        return self.summary.get("protocol") or {}

    @property
    def nfe(self) -> float | None:
        """Evaluations of all networks for one image; None where they are not known."""
        found = self.summary.get("nfe") or {}
        return float(sum(found.values())) if found else None

    @property
    def seconds(self) -> float | None:
        """Seconds per image."""
        return self.summary.get("seconds_per_image")

    @property
    def ids(self) -> list[str]:
        """Of the images that have numbers, in order."""
        return list(self.rows)

    @cached_property
    def images(self) -> dict[str, Path]:
        """Files of the translations by id, of those that are there."""
        if self.files:
            return {
                name: paths["output"] for name, paths in self.files.items() if "output" in paths
            }
        written = Written.of(self.folder).naming(self.rows)
        paths = {name: written.path(name) for name in self.rows}
        return {name: path for name, path in paths.items() if path.is_file()}

    @cached_property
    def sources(self) -> dict[str, Path]:
        """Files of the sources by id, where the run was given files; see programs.pictures."""
        return {name: paths["source"] for name, paths in self.files.items() if "source" in paths}

    def column(self, name: str) -> dict[str, float]:
        """One number of every image that has it."""
        return {image: row[name] for image, row in self.rows.items() if name in row}


def difference(a: Run, b: Run, name: str) -> tuple[float, float, float] | None:
    """Mean of a - b of a number over the images that both have, with its interval; else None."""
    mine, theirs = a.column(name), b.column(name)
    both = [image for image in mine if image in theirs]
    return of_difference([mine[i] for i in both], [theirs[i] for i in both])


def load(folder: str | Path) -> Run:
    """The run in a folder; ValueError where there are no numbers, or they cannot be read."""
    folder = Path(folder).expanduser()
    path = folder / "metrics.json"
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no metrics.json; give the out= folder of a finished sample.py or "
            "evaluate.py"
        )
    record = folder / "run.json"
    return Run(
        folder,
        read_object(record, AGAIN) if record.is_file() else {},
        summary(path),
        {row.pop("id"): _numbers(row, folder) for row in table(folder / "images.csv")},
        files(folder),
    )


def files(folder: Path) -> dict[str, dict[str, Path]]:
    """Paths of the output, the source and the truth by id, of a run of evaluate.py."""
    rows = {row.pop("id"): _paths(row) for row in table(folder / "files.csv")}
    return {name: paths for name, paths in rows.items() if "output" in paths}


def summary(path: Path) -> dict[str, Any]:
    """metrics.json; ValueError where an entry is not of its kind."""
    found = read_object(path, AGAIN)
    numbers = [found.get("metrics") or {}, found.get("nfe") or {}]
    ends = found.get("intervals") or {}
    right = all(isinstance(each, dict) for each in (*numbers, ends, found.get("protocol") or {}))
    right = right and all(map(_number, (found.get("seconds_per_image"), found.get("n"))))
    right = right and all(_number(value) for each in numbers for value in each.values())
    if not right or not all(isinstance(e, list) and len(e) == 2 and all(map(_number, e))
                            for e in ends.values()):  # fmt: skip
        raise ValueError(f"{path} is damaged: what should be numbers are none; repeat the run")
    known = {key: {k: v for k, v in (found.get(key) or {}).items() if v is not None}
             for key in ("metrics", "nfe")}  # fmt: skip
    return found | known | {"intervals": {k: e for k, e in ends.items() if None not in e}}


def _number(value: Any) -> bool:
    """null stands for one that was not finite."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and not abs(value) > 1e300)


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that have an id; none where there is no file, ValueError where it is
    damaged."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if row.get("id") is not None]
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); {AGAIN}") from error


def _numbers(row: dict[str, str], folder: Path) -> Row:
    try:
        return {name: float(text) for name, text in row.items() if name and text}
    except ValueError as error:
        raise ValueError(f"{folder}/images.csv is damaged ({error}); {AGAIN}") from error


def _paths(row: dict[str, str]) -> dict[str, Path]:
    return {name: Path(text) for name, text in row.items() if name and text}
