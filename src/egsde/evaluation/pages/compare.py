"""compare.html: systems side by side, their numbers, frontier and differences; compare.csv."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from egsde.disk import whole
from egsde.evaluation.pages.comparison import (
    Difference,
    System,
    differences,
    measured,
    table_rows,
    unlike,
)
from egsde.evaluation.pages.frontier import draw_frontier
from egsde.evaluation.pages.html import embedded, img, number, page, png_uri, table, text
from egsde.evaluation.pages.intervals import Interval
from egsde.evaluation.pages.report import LIMIT

COLUMNS = 12  # systems whose pictures are shown; all are in the table
FEWEST = 4  # images shown, however large they are
Beside = Callable[[str], Mapping[str, np.ndarray]]


def write_compare(
    out: Path,
    systems: Sequence[System],
    keys: Sequence[str],
    beside: Beside,
    images: int | None = None,
    notes: Sequence[str] = (),
) -> list[Path]:
    """compare.html, compare.csv and frontier.png of systems with names of their own.

    keys: the images that are compared; beside: an image's source and truth, where there are any;
    images: how many are shown, None: as many as a page of 5 MB holds.
    """
    found = list(differences(systems, keys))
    numbers = {system.name: measured(system, keys) for system in systems}
    paths = [out / name for name in ("compare.html", "compare.csv", "frontier.png")]
    draw_frontier(paths[2], systems, numbers)
    rows = table_rows(systems, keys, found)
    with whole(paths[1]) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(k for row in rows for k in row)))
        writer.writeheader()
        writer.writerows(rows)
    lines, shown = _lines(systems[:COLUMNS], keys, beside, images)
    html = _page(systems, numbers, found, keys, lines, shown, paths[2], [*unlike(systems), *notes])
    with whole(paths[0]) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return paths


def _lines(
    systems: Sequence[System], keys: Sequence[str], beside: Beside, images: int | None
) -> tuple[list[str], list[str]]:
    """Rows of pictures as HTML, and whose; as many as there is room for."""
    if not keys:
        return [], []
    first = _line(systems, keys[0], beside, 0)
    most = images or max(FEWEST, LIMIT // max(len(first), 1))
    count = min(most, len(keys))
    chosen = [keys[k * len(keys) // count] for k in range(count)]
    return [_line(systems, key, beside, i) for i, key in enumerate(chosen)], chosen


def _line(systems: Sequence[System], key: str, beside: Beside, row: int) -> str:
    around = beside(key)
    cells = [_cell(around.get("source"), f"source of {key}")]
    for k, system in enumerate(systems):
        picture = system.pictures[key]()["translation"]
        cells.append(_cell(picture, f"{key} by {system.name}", f' data-run="{k}"'))
    if (truth := around.get("truth")) is not None:
        cells.append(_cell(truth, f"truth of {key}"))
    return (
        f'<tr data-row="{row}"><th scope="row" class="caption">{text(key)}</th>'
        f"{''.join(cells)}</tr>"
    )


def _cell(picture: np.ndarray | None, alt: str, more: str = "") -> str:
    shown = "" if picture is None else img(picture, alt)
    return f'<td{more}>{shown}<span class="caption"></span></td>'


def _page(
    systems: Sequence[System],
    numbers: Mapping[str, Mapping[str, Interval]],
    found: Sequence[Difference],
    keys: Sequence[str],
    lines: Sequence[str],
    shown: Sequence[str],
    plot: Path,
    notes: Sequence[str],
) -> str:
    columns = systems[:COLUMNS]
    truths = ["truth"] if any('alt="truth of ' in line for line in lines) else []
    every = list(dict.fromkeys(n for s in columns for v in s.values.values() for n in v))
    bases = list(dict.fromkeys(d.one for d in found)) or [systems[0].name]
    indices = {system.name: k for k, system in enumerate(systems)}
    count = "image" if len(keys) == 1 else f"{len(keys)} images"
    said = f"{len(systems)} runs on the {count} that all of them have"
    said += f"; {len(shown)} of them are shown" if len(shown) < len(keys) else ""
    if len(columns) < len(systems):
        notes = [*notes, f"Pictures of the first {len(columns)} runs are shown."]
    return page(
        "compare",
        " / ".join(system.name for system in systems[:4]) + (", ..." if systems[4:] else ""),
        lead=text(said + "."),
        notes="".join(f'<p class="warn">{text(note)}</p>' for note in notes),
        table=_numbers(systems, numbers),
        plot=_plot(plot),
        bases="".join(f'<option value="{indices[n]}">{text(n)}</option>' for n in bases),
        differences=_differences(found, indices),
        sort="".join(f'<option value="{text(n)}">{text(n)}</option>' for n in every),
        of="".join(f'<option value="{k}">{text(s.name)}</option>' for k, s in enumerate(columns)),
        heads="".join(
            f'<th scope="col">{text(name)}</th>'
            for name in ("source", *(s.name for s in columns), *truths)
        ),
        rows="\n".join(lines),
        data=embedded(
            {
                "names": every,
                "values": [
                    [[s.values.get(key, {}).get(n) for n in every] for s in columns]
                    for key in shown
                ],
            }
        ),
    )


def _numbers(systems: Sequence[System], numbers: Mapping[str, Mapping[str, Interval]]) -> str:
    every = dict.fromkeys(n for found in numbers.values() for n in found)
    names = [n for n in every if not n.endswith(("_floor", "_se"))]
    own = [n for n in names if not n.endswith("_source")]

    def told(interval: Interval | None) -> str:
        if interval is None:
            return "–"
        known = math.isfinite(interval.low)
        around = f"<br>[{number(interval.low)}, {number(interval.high)}]" if known else ""
        return number(interval.value) + around

    rows = [
        [text(s.name), number(s.evaluations), number(s.seconds),
         *(told(numbers[s.name].get(n)) for n in own)]
        for s in systems
    ]  # fmt: skip
    for end, label in (("_source", "doing nothing"), ("_floor", "real against real")):
        beside = [next((f[n + end] for f in numbers.values() if n + end in f), None) for n in own]
        if any(value is not None for value in beside):
            rows.append([f"<em>{label}</em>", "", "", *map(told, beside)])
    head = ["run", "evaluations", "seconds", *map(text, own)]
    return table(head, rows, range(1, len(head)))


def _plot(path: Path) -> str:
    alt = "numbers of each run against L2, evaluations and seconds, as in the table"
    plot = f'<img class="plot" src="{png_uri(path.read_bytes())}" alt="{alt}">'
    return f'<div class="wide">{plot}</div>'


def _differences(found: Sequence[Difference], indices: Mapping[str, int]) -> str:
    if not found:
        return "<p>The runs share no number that has an interval.</p>"
    lines = []
    for d in found:
        clear = "yes" if d.interval.significant else "no"
        known = math.isfinite(d.interval.low)  # one image says nothing of others
        around = f"[{number(d.interval.low)}, {number(d.interval.high)}]" if known else "–"
        kind = "paired" if d.paired else "of sets"
        lines.append(
            f'<tr data-base="{indices[d.one]}" data-significant="{clear}"><td>{text(d.other)}</td>'
            f'<td>{text(d.name)}</td><td class="number">{number(d.interval.value)}</td>'
            f'<td class="number">{around}</td><td class="{clear}">{clear}</td><td>{kind}</td></tr>'
        )
    head = ("run", "number", "difference", "95 % interval", "significant", "kind")
    cells = "".join(f"<th>{name}</th>" for name in head)
    return (
        f'<div class="wide"><table><thead><tr>{cells}</tr></thead>\n'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
