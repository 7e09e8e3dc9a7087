"""report.html of a run: every image under a slider, its numbers and way, the table, the command.

A file stays below `LIMIT` bytes; what is beyond goes to report_2.html, ... Each is whole by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from egsde.disk import whole
from egsde.evaluation.pages.html import data_uri, embedded, img, number, page, table, text
from egsde.evaluation.pages.meanings import grouped, meaning
from egsde.evaluation.pages.trajectory import Trajectory

LIMIT = 4_600_000  # bytes of pictures and numbers in a file; the rest of it is small
KINDS = ("source", "translation", "truth", "spread", "change")
EXTREMES = 6


@dataclass(frozen=True)
class Shown:
    """An image of a run: uint8 (H, W, 3) pictures by kind (translation; source, truth and the maps
    of uncertainty= if there are any), its numbers, its way if that was kept."""

    id: str
    pictures: Mapping[str, np.ndarray]
    values: Mapping[str, float | None] = field(default_factory=dict)
    way: Trajectory | None = None


@dataclass(frozen=True)
class About:
    """What a report says beside the images. numbers: metrics.json; notes: sentences to warn."""

    title: str
    command: str
    numbers: Mapping[str, Any]
    configuration: str
    notes: Sequence[str] = ()


def write_report(
    out: Path, about: About, images: Iterable[Shown], values: Mapping[str, Mapping[str, Any]]
) -> list[Path]:
    """The pages in `out`, written in the order of the images; older pages beyond them go.

    values: the numbers of all images by id, those that are not shown, too.
    """
    parts = list(_split(images))
    names = [_name(k) for k in range(len(parts))]
    extremes = _extremes(parts, names) if len(parts) > 1 else {}
    paths = []
    for k, part in enumerate(parts):
        with whole(out / names[k]) as temporary:
            html = _page(about, part, k, names, extremes, sum(map(len, parts)), len(values))
            temporary.write_text(html, encoding="utf-8")
        paths.append(out / names[k])
    for old in out.glob("report_*.html"):
        if old not in paths and old.stem[7:].isdigit():
            old.unlink()
    return paths


def _name(k: int) -> str:
    return "report.html" if k == 0 else f"report_{k + 1}.html"


@dataclass(frozen=True)
class _Ready:
    """An image as HTML and JSON, so that its size is known and its pixels can go."""

    id: str
    values: Mapping[str, float | None]
    pictures: str
    kinds: tuple[str, ...]
    way: dict[str, Any] | None

    @property
    def size(self) -> int:
        ways = 0 if self.way is None else sum(map(len, self.way["states"] + self.way["denoised"]))
        return len(self.pictures) + ways + 400 + 24 * len(self.values)


def _split(images: Iterable[Shown]) -> Iterator[list[_Ready]]:
    """Parts of at most LIMIT bytes, with an image at least; one empty part where there is none."""
    part: list[_Ready] = []
    size = 0
    for image in images:
        ready = _ready(image)
        if part and size + ready.size > LIMIT:
            yield part
            part, size = [], 0
        part.append(ready)
        size += ready.size
    yield part


def room(image: Shown, pages: int) -> int:
    """How many images like this one so many pages hold."""
    return pages * max(1, LIMIT // max(_ready(image).size, 1))


def _ready(image: Shown) -> _Ready:
    kinds = tuple(kind for kind in KINDS if kind in image.pictures)
    pictures = "".join(
        img(image.pictures[kind], f"{kind} of {image.id}", data_kind=kind) for kind in kinds
    )
    return _Ready(image.id, image.values, pictures, kinds, _way(image.way))


def _way(way: Trajectory | None) -> dict[str, Any] | None:
    if way is None:
        return None
    return {
        "step": way.step.tolist(),
        "t": way.t.tolist(),
        "states": [data_uri(picture) for picture in way.states],
        "denoised": [data_uri(picture) for picture in way.denoised],
        "names": way.names.tolist(),
        "energies": way.energies.tolist(),
    }


def _names(part: Sequence[_Ready]) -> list[str]:
    return list(dict.fromkeys(name for image in part for name in image.values))


def _extremes(parts: Sequence[Sequence[_Ready]], pages: Sequence[str]) -> dict[str, list]:
    """By number: (page, id, value) of the lowest and the highest images of all pages."""
    found: dict[str, list] = {}
    for name in dict.fromkeys(n for part in parts for n in _names(part)):
        every = [
            (page, image.id, value)
            for page, part in zip(pages, parts, strict=True)
            for image in part
            if (value := image.values.get(name)) is not None and np.isfinite(value)
        ]
        every.sort(key=lambda entry: entry[2])
        low, high = every[:EXTREMES], every[EXTREMES:][-EXTREMES:]
        found[name] = low + high
    return found


def _page(
    about: About,
    part: Sequence[_Ready],
    k: int,
    pages: Sequence[str],
    extremes: Mapping[str, list],
    shown: int,
    total: int,
) -> str:
    names = _names(part)
    kinds = dict.fromkeys(kind for image in part for kind in image.kinds if kind != "translation")
    with_way = ", ".join(image.id for image in part if image.way is not None)
    cards = "\n".join(
        f'<button type="button" class="card" data-row="{i}" aria-pressed="false">'
        f'<span class="pictures">{image.pictures}</span>'
        f'<span class="caption">{text(image.id)}<br><span class="number"></span></span></button>'
        for i, image in enumerate(part)
    )
    links = [
        f'<strong aria-current="page">{i + 1}</strong>' if i == k else f'<a href="{p}">{i + 1}</a>'
        for i, p in enumerate(pages)
    ]
    return page(
        "report",
        about.title,
        lead=text(_lead(about.numbers, shown, max(total, shown))),
        notes="".join(f'<p class="warn">{text(note)}</p>' for note in about.notes),
        pages=f"Images, page {' '.join(links)}" if len(pages) > 1 else "",
        below="".join(f'<option value="{kind}">{kind}</option>' for kind in kinds)
        or '<option value="translation">nothing</option>',
        sort="".join(f'<option value="{text(name)}">{text(name)}</option>' for name in names),
        with_way=text(with_way),
        cards=cards or "<p>This run has left no image.</p>",
        table=numbers_table(about.numbers),
        command=text(about.command),
        protocol=text(
            json.dumps(about.numbers.get("protocol") or {}, indent=2, ensure_ascii=False)
        ),
        configuration=text(about.configuration),
        data=embedded(
            {
                "ids": [image.id for image in part],
                "names": names,
                "values": [[image.values.get(name) for name in names] for image in part],
                "ways": [image.way for image in part],
                "extremes": extremes,
            }
        ),
    )


def _lead(numbers: Mapping[str, Any], shown: int, total: int) -> str:
    said = f"{shown} images" if shown == total else f"{shown} of {total} images, evenly chosen"
    said = "1 image" if (shown, total) == (1, 1) else said
    nfe = numbers.get("nfe")
    if isinstance(nfe, Mapping) and nfe:
        said += "; evaluations an image: " + ", ".join(f"{n} {number(v)}" for n, v in nfe.items())
    if numbers.get("seconds_per_image") is not None:
        said += f"; {number(numbers['seconds_per_image'])} seconds an image"
    return said + "."


def numbers_table(numbers: Mapping[str, Any]) -> str:
    """Each number with its interval, the untouched source's, the floor, and what it means."""
    metrics = numbers.get("metrics") or {}
    intervals = numbers.get("intervals") or {}
    if not metrics:
        return "<p>Nothing was measured in this run.</p>"

    def told(name: str | None) -> str:
        if name is None:
            return "–"
        both = intervals.get(name)
        around = f" [{number(both[0])}, {number(both[1])}]" if both else ""
        return text(number(metrics.get(name)) + around)

    rows = [
        [text(name), told(name), told(beside.get("_source")), told(beside.get("_floor")),
         text(meaning(name))]
        for name, beside in grouped(metrics).items()
    ]  # fmt: skip
    head = ["number", "translations", "doing nothing", "real against real", "what it means"]
    below = '<p class="soft">In brackets: 95 % intervals over images, where they were measured.</p>'
    return table(head, rows, (1, 2, 3)) + below
