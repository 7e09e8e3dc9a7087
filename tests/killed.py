"""How often programs were killed, as docs/data/kills.csv has it: a table of docs/reliability.md."""

from __future__ import annotations

import csv
from pathlib import Path

COUNTS = Path(__file__).parents[1] / "docs" / "data" / "kills.csv"
HEAD = """\
## Killed

Killed with SIGKILL before file events (a file opened for writing, flushed, renamed, removed; a
folder made) and at random moments, then given again: each went on to the bytes, rows and numbers
of a run that was never killed, and no unfinished file was left. Where a process was is what it had
itself last written into shared memory. `sample.py` translated 6 images at 16 px, `train.py` made 6
steps at 8 px with two validations, on two CPU cores
(`EGSDE_KILLS=52 pytest -m slow tests/faults/test_crashes.py`):

"""
COLUMNS = ("program", "file events", "killed at one", "at a random moment", "of both: in the loop",
           "while a checkpoint was written", "before or after", "went on to the same")  # fmt: skip


def table() -> str:
    with COUNTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for row in rows:
        killed = int(row["events"]) + int(row["moments"])
        where = [row[key] or "-" for key in ("loop", "saving", "outside")]
        cells = [f"`{row['program']}`", row["file events"], row["events"], row["moments"], *where,
                 f"{killed} of {killed}"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(lines) + "\n"
