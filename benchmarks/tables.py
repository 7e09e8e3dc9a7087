"""Rows of numbers as a table to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def show(rows: Sequence[Mapping[str, object]], digits: int) -> None:
    """Print the rows, numbers with so many digits after the point."""
    print("| " + " | ".join(rows[0]) + " |")
    for row in rows:
        cells = [f"{v:.{digits}f}" if isinstance(v, float) else str(v) for v in row.values()]
        print("| " + " | ".join(cells) + " |")
