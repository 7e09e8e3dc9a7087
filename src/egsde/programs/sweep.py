"""What a sweep leaves: sweep.csv, a row for each job with its overrides and its numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

RESULTS = ("metrics.json", "likelihood.json")  # where a program leaves its numbers


class Table(Callback):
    """Writes the table after every job, so that a sweep that is cut has one, too."""

    last: Table | None = None

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.keys: list[str] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        Table.last = self
        self.folder = Path(str(config.hydra.sweep.dir)).absolute()
        out = self.folder / str(config.hydra.sweep.subdir)
        given = dict(o.lstrip("+").split("=", 1) for o in job_return.overrides or () if "=" in o)
        self.keys = list(dict.fromkeys([*self.keys, *given]))
        done = job_return.status == JobStatus.COMPLETED
        numbers = _numbers(out) if done else {"error": str(job_return._return_value)}
        if done and isinstance(config.get("objective"), str):
            numbers.setdefault(config.objective, job_return.return_value)
        self.rows.append({"folder": out.name, **given, **numbers})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        temporary = self.folder / ".sweep.tmp"
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        temporary.replace(self.folder / "sweep.csv")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """The jobs side by side, where at least two have left images."""
        if not self.rows:
            return
        folders = [self.folder / row["folder"] for row in self.rows]
        found = [folder for folder in folders if (folder / "metrics.json").is_file()]
        found = [folder for folder in found if (folder / "images").is_dir()]
        if len(found) < 2:
            return
        from egsde.programs.compare import compare  # needs all that a program needs

        try:
            print(f"the jobs side by side: {compare(found, self.folder)[0]}")
        except (ValueError, OSError) as error:
            print(f"the jobs are not shown side by side: {error}")

    def show(self) -> None:
        """The table without the settings that no job changed."""
        fixed = {k for k in self.keys if len({row.get(k) for row in self.rows}) == 1}
        columns = list(dict.fromkeys(n for row in self.rows for n in row if n not in fixed))
        table = [columns, *([_short(row.get(name)) for name in columns] for row in self.rows)]
        widths = [min(max(map(len, column)), 40) for column in zip(*table, strict=True)]
        for line in table:
            cells = (cell[:40].ljust(w) for cell, w in zip(line, widths, strict=True))
            print("  ".join(cells).rstrip())
        print(f"{len(self.rows)} jobs; the whole table is {self.folder / 'sweep.csv'}")

    @classmethod
    def show_last(cls) -> None:
        """Show the table of the sweep that this process has run, if it has run one."""
        table, cls.last = cls.last, None
        if table is not None:
            table.show()


def _numbers(out: Path) -> dict[str, float]:
    for name in RESULTS:
        if (out / name).exists():
            return dict(json.loads((out / name).read_text())["metrics"])
    return {}


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else " ".join(str(value).split())
