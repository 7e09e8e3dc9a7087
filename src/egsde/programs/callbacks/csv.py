"""The default logger: every scalar in `metrics.csv` of the run's folder, one row a step."""

from __future__ import annotations

import csv
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class CSV(Logger):
    """Unlike Lightning's CSVLogger it keeps the rows of a run that is resumed, up to its step."""

    def __init__(self, out: str | Path, every_seconds: float = 5.0) -> None:
        super().__init__()
        self.path = Path(out) / "metrics.csv"
        self.every_seconds, self.saved = every_seconds, 0.0
        self.rows: dict[int, dict[str, Any]] = {}
        self.started = False

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kw: Any) -> None:
        """Nothing: the configuration has its own file."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        step = step or 0
        if not self.started:
            self._keep_rows_before(step)
        row = self.rows.setdefault(step, {"step": step})
        row.update({name: value for name, value in metrics.items() if name != "epoch"})
        if time.monotonic() - self.saved > self.every_seconds:
            self.save()

    def _keep_rows_before(self, step: int) -> None:
        self.started = True
        if step and self.path.exists():
            with self.path.open(newline="") as file:
                old = [{k: v for k, v in row.items() if v != ""} for row in csv.DictReader(file)]
            self.rows = {int(row["step"]): row for row in old if int(row["step"]) < step}

    @rank_zero_only
    def save(self) -> None:
        if not self.rows:
            return
        columns = sorted({name for row in self.rows.values() for name in row} - {"step"})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", *columns])
            writer.writeheader()
            writer.writerows(self.rows[step] for step in sorted(self.rows))
        temporary.replace(self.path)
        self.saved = time.monotonic()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()
