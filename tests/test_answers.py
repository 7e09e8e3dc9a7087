"""Every mistake is answered, before any work, in the words that docs/reliability.md has.

`python tests/test_answers.py` writes the page again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import killed
import kinds
import mistakes_in_calls
import mistakes_in_data
import mistakes_in_files
import mistakes_in_settings
from answers import Row

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
SECTIONS = {
    "Settings and the command line": mistakes_in_settings.ROWS,
    **mistakes_in_data.SECTIONS,
    "Weights, measures, machines": mistakes_in_files.ROWS,
    "The tools": mistakes_in_calls.ROWS,
}
HEAD = """\
# What is answered

Every mistake below is made by a test, and the answer is what it was told: in one message, before
any work, without a traceback. `FOLDER` stands for where the files were.
"""


def answers(folder: Path, rows: list[Row]) -> tuple[list[str], list[str]]:
    """A line of the table for each row, and what went wrong."""
    lines, wrong = [], []
    for number, row in enumerate(rows):
        place = folder / str(number)
        place.mkdir(parents=True)
        try:
            told = row.answer(place)
        except AssertionError as error:
            wrong.append(str(error))
            continue
        if row.words not in told:
            wrong.append(f"{row.what}: no {row.words!r} in {told!r}")
        lines.append(f"| {_cell(row.what)} | {_cell(told)} |")
    return lines, wrong


def page(folder: Path) -> tuple[str, list[str]]:
    parts, wrong = [HEAD], []
    for title, rows in SECTIONS.items():
        lines, found = answers(folder / title, rows)
        wrong += found
        parts.append("\n".join([f"## {title}\n", "| given | answer |", "|---|---|", *lines]) + "\n")
    return "\n".join([*parts, kinds.table(), killed.table()]), wrong


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def test_every_mistake_is_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    text, wrong = page(tmp_path)
    assert not wrong, "\n".join(wrong)
    assert sum(map(len, SECTIONS.values())) >= 240
    assert text == PAGE.read_text(), "run python tests/test_answers.py to write the page again"


def test_the_silent_kinds_have_tests():
    assert not kinds.missing()
    assert kinds.table() in PAGE.read_text()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        text, wrong = page(Path(name))
    print("\n".join(wrong), file=sys.stderr)
    PAGE.write_text(text)
