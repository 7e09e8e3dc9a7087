"""What a measured run leaves: metrics.json, images.csv, and the numbers on the console."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egsde.disk import whole
from egsde.programs.records import write_json

BESIDE = ("_source", "_floor")  # the untouched sources' number, and real against real


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
    if metrics:
        print("\n".join(table(metrics, intervals)))


def table(metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> list[str]:
    """Lines for the console: each number with its interval, beside that of the untouched sources
    and of real images against real ones."""
    beside = {f"{name}{of}" for name in metrics for of in BESIDE}
    lines = [f"{'':18s}{'value':>10s}  {'95 % of it':22s}{'untouched':>10s}{'real':>10s}"]
    for name, value in metrics.items():
        if name in beside:
            continue
        low_high = intervals.get(name)
        within = "" if low_high is None else f"[{low_high[0]:.4f}, {low_high[1]:.4f}]"
        others = "".join(
            f"{metrics[name + of]:10.4f}" if name + of in metrics else f"{'':10s}" for of in BESIDE
        )
        lines.append(f"{name:18s}{value:10.4f}  {within:22s}{others}".rstrip())
    return lines


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV with the columns of all rows; nothing where there are none."""
    if not rows:
        return
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
