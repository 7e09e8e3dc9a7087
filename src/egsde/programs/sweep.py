"""What a sweep leaves: sweep.csv, a row for each job with its overrides and its numbers."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from egsde.disk import found_object, refuse_taken, whole
from egsde.programs.searches import check_search, go_on

JOBS = ".jobs"  # in the sweep's folder, a row each
LOCK = ".lock-sweep"
RESULTS = ("metrics.json", "likelihood.json")  # where a program leaves its numbers


class Table(Callback):
    """Writes the table after every job, so that a sweep that is cut has one, too.

    A job may run in another process, or on another machine: its row is a file of its own. At a
    time one sweep has the folder, but for shards, of which any may share one.
    """

    last: Table | None = None
    lock = contextlib.ExitStack()  # of this process, not of an object that engines send to others

    def __init__(self) -> None:
        self.folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        try:
            for path in (folder, folder / JOBS):
                refuse_taken(path)
            refuse_taken(folder / "multirun.yaml", folder=False)  # which Hydra writes
            begun = check_search(config)
            if not any(o.lstrip("+").startswith("shard=") for o in config.hydra.overrides.task):
                self._hold(folder)
        except (ValueError, OSError) as error:  # of which Hydra would warn, and go on
            print(f"error: {error}", file=sys.stderr, flush=True)
            raise SystemExit(1) from error
        Table.last, self.folder = self, folder
        if begun:
            return go_on(config, begun)
        for path in (self.folder / JOBS).glob("*.json"):  # of a sweep before
            path.unlink()

    @classmethod
    def _hold(cls, folder: Path) -> None:
        from egsde.programs.lock import held  # needs what a program needs

        cls.lock.enter_context(held(folder, LOCK, clean=False))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        out = folder / str(config.hydra.sweep.subdir)
        given = dict(o.lstrip("+").split("=", 1) for o in job_return.overrides or () if "=" in o)
        done = job_return.status == JobStatus.COMPLETED
        numbers = _numbers(out) if done else {"error": str(job_return._return_value)}
        value = job_return.return_value if done else None
        if value is not None and isinstance(config.get("objective"), str):
            numbers.setdefault(config.objective, value)
        row = {"keys": list(given), "row": {"folder": out.name, **given, **numbers}}
        number = int(out.name if out.name.isdecimal() else config.hydra.job.num)
        with whole(folder / JOBS / f"{number:06d}.json") as temporary:
            temporary.write_text(json.dumps(row))
        rows, _ = self.rows(folder)
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with (
            whole(folder / "sweep.csv", shared=True) as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    @staticmethod
    def rows(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
        """The rows of all jobs that have ended, in order, and which columns are settings."""
        read = (found_object(path) for path in sorted((folder / JOBS).glob("*.json")))
        found = [job for job in read if _of_a_job(job)]
        keys = dict.fromkeys(key for job in found for key in job["keys"])
        return [job["row"] for job in found], list(keys)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """The jobs side by side, where at least two have left images."""
        if self.folder is None:
            return
        folders = [self.folder / str(row["folder"]) for row in self.rows(self.folder)[0]]
        found = [folder for folder in folders if (folder / "metrics.json").is_file()]
        if len(found) < 2:
            return
        from egsde.programs.compare import compare  # needs all that a program needs

        try:
            print(f"the jobs side by side: {compare(found, self.folder)[0]}")
        except (ValueError, OSError) as error:
            print(f"the jobs are not shown side by side: {error}")

    def show(self) -> None:
        """The table without the settings that no job changed."""
        assert self.folder is not None
        rows, keys = self.rows(self.folder)
        if not rows:
            return
        fixed = {k for k in keys if len({row.get(k) for row in rows}) == 1}
        columns = list(dict.fromkeys(n for row in rows for n in row if n not in fixed))
        table = [columns, *([_short(row.get(name)) for name in columns] for row in rows)]
        widths = [min(max(map(len, column)), 40) for column in zip(*table, strict=True)]
        for line in table:
            cells = (cell[:40].ljust(w) for cell, w in zip(line, widths, strict=True))
            print("  ".join(cells).rstrip())
        print(f"{len(rows)} jobs; the whole table is {self.folder / 'sweep.csv'}")

    @classmethod
    def show_last(cls) -> None:
        """Show the table of the sweep that this process has run, if it has run one."""
        table, cls.last = cls.last, None
        cls.lock.close()
        if table is not None:
            table.show()


def _of_a_job(job: dict[str, Any]) -> bool:
    """Whether a row is one that a job has left, whose folder lies in the sweep's."""
    row, keys = job.get("row"), job.get("keys")
    if not isinstance(row, dict) or not isinstance(keys, list):
        return False
    if not all(isinstance(key, str) and key in row for key in (*keys, "folder")):
        return False
    plain = all(isinstance(value, (str, int, float, type(None))) for value in row.values())
    return plain and Path(str(row["folder"])).name == row["folder"]


def _numbers(out: Path) -> dict[str, float]:
    for name in RESULTS:
        if (out / name).exists():
            return dict(found_object(out / name).get("metrics") or {})
    return {}


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else " ".join(str(value).split())
