"""egsde report RUN [RUN ...] [images=N]

Writes report.html into the folder of a run of sample.py or evaluate.py: source and translation
under a slider, the numbers with what they mean, the way of some images, the command to repeat it.
The file needs nothing beside itself; many images make further pages, report_2.html and so on.

RUN       the out= folder of a run
images    at most so many, evenly chosen; without it 1000, or what 5 pages of 5 MB hold; the numbers
          are of all
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from egsde.data.domains import spread
from egsde.evaluation.pages import About, room, write_report
from egsde.programs.opened import Opened, opened
from egsde.programs.words import Usage, split, whole_number

IMAGES, PAGES = 1000, 5
NAMED = 8
UNKNOWN = "How this run was started is not recorded; the configuration below is what ran."


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde report RUN."""
    runs, settings = split("report", arguments, images=(whole_number(1), None))
    if not runs:
        raise Usage("name the folder of a run: egsde report RUN")
    for run in runs:
        found, images = opened(Path(run).expanduser()), settings["images"]
        paths = report(found) if images is None else report(found, images, pages=None)
        print(told(paths))


def report(run: Opened, images: int = IMAGES, pages: int | None = PAGES) -> list[Path]:
    """The pages of a run, in its folder: of at most so many images, and no more pages."""
    ids = list(run.pictures)
    first = next(run.shown(ids[:1]), None)
    if first is not None and pages is not None:
        images = min(images, room(first, pages))
    chosen = [ids[i] for i in spread(len(ids), images)]
    about = About(
        title=title(run),
        command=str(run.record.get("command") or UNKNOWN),
        numbers=run.numbers,
        configuration=yaml.safe_dump(
            run.record.get("config") or {}, sort_keys=False, allow_unicode=True, width=100
        ),
        notes=(*run.notes, *unknown(run.values)),
    )
    return write_report(run.folder, about, run.shown(chosen), run.values)


def unknown(values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Sentences that name the images outside of what the networks know."""
    for column, what in (
        ("input_outside", "images given are unlike those that the networks were made for"),
        ("outside", "translations are unlike real images of the target"),
    ):
        names = [name for name, row in values.items() if row.get(column) == 1]
        if names:
            shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            yield f"{len(names)} of {len(values)} {what} ({column}): {shown}"


def title(run: Opened) -> str:
    """The folder and what made its images."""
    translator = (run.record.get("config") or {}).get("translator")
    target = translator.get("_target_", "") if isinstance(translator, dict) else ""
    method = str(target).rsplit(".", 1)[-1]
    return f"{run.folder.absolute().name} ({method})" if method else run.folder.absolute().name


def told(paths: Sequence[Path]) -> str:
    """Where to look."""
    more = f" and {len(paths) - 1} more pages" if len(paths) > 1 else ""
    return f"a page to look at: {paths[0]}{more}"
