"""The default logger: every scalar in `metrics.csv` of the run's folder, one row a step."""

from __future__ import annotations

import contextlib
import csv
import time
import warnings
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.disk import whole


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
            found = rows_of(self.path)
            self.rows = {k: row for k, row in found.items() if k < step}
            text = self.path.read_bytes()
            if text.count(b"\n") != len(found) + 1 or not text.endswith(b"\n"):  # it was whole
                warnings.warn(
                    f"{self.path} is damaged: it goes on with the {len(self.rows)} rows before "
                    f"step {step} that can be read", stacklevel=2,
                )  # fmt: skip

    @rank_zero_only
    def save(self) -> None:
        if not self.rows:
            return
        columns = sorted({name for row in self.rows.values() for name in row} - {"step"})
        self.saved = time.monotonic()
        try:
            with whole(self.path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, ["step", *columns])
                writer.writeheader()
                writer.writerows(self.rows[step] for step in sorted(self.rows))
        except OSError as error:  # the numbers stay here; a later save may have room
            warnings.warn(f"{self.path} could not be written ({error})", stacklevel=2)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()


def _whole(rows: Iterable[dict[Any, Any]]) -> Iterator[dict[Any, Any]]:
    """Up to the first that cannot be read, such as a cell without end."""
    with contextlib.suppress(csv.Error):
        yield from rows


def rows_of(path: Path) -> dict[int, dict[str, Any]]:
    """The rows of a `metrics.csv` by step, without its empty cells. What is cut or no number is
    left out: a row that does not end is not read, since its last number may be half of one."""
    text = path.read_bytes().decode(errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    rows: dict[int, dict[str, Any]] = {}
    for row in _whole(csv.DictReader(lines)):
        cells = {k: v for k, v in row.items() if v not in ("", None)}
        if None not in row and None not in row.values() and cells.get("step", "").isdecimal():
            rows[int(cells["step"])] = cells
    return rows
