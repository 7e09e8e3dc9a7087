"""What a measured run leaves: metrics.json, images.csv, and the numbers on the console."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egsde.programs.records import write_json


def write_summary(
    out: Path,
    rows: list[dict[str, Any]],
    *,
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    **others: Any,
) -> None:
    """others: n, nfe, seconds_per_image, protocol. See `egsde.evaluation.runs` for the formats."""
    found = {**others, "metrics": dict(metrics), "intervals": dict(intervals)}
    write_json(out / "metrics.json", found)
    write_table(out / "images.csv", rows)
    for name, value in metrics.items():
        within = intervals.get(name)
        told = "" if within is None else f"  [{within[0]:.4f}, {within[1]:.4f}]"
        print(f"{name:12s} {value:.4f}{told}")


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV with the columns of all rows; nothing where there are none."""
    if not rows:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
