"""egsde pairs RUN_A RUN_B [RUN ...] out=DIR [images=50] [seed=0] [names=A,B,...] [question=TEXT]
egsde pairs score FILE [FILE ...] [key=DIR/key.json] [out=scores.csv]

A study of what people prefer. The first writes pairs.html, a page of pairs whose order and sides
are shuffled, with the source on top, and key.json, which knows who made what: give the page away
and keep the key. People save their answers as files; the second turns these into percentages.

RUN       the out= folder of sample.py or evaluate.py
images    of every two runs, evenly chosen of those that all have
seed      of the shuffling
question  what the page asks
FILE      what people have sent back; key: without it, key.json is looked for beside them and here
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egsde.disk import read_object, whole
from egsde.evaluation.pages.pairs import Preference, drawn, scored, write_pairs
from egsde.programs.compare import systems_of
from egsde.programs.words import Usage, split, whole_number


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde pairs RUN RUN out=DIR, or egsde pairs score FILE ... key=KEY."""
    if arguments and arguments[0] == "score":
        score(arguments[1:])
        return
    runs, settings = split(
        "pairs", arguments, out=(str, None), images=(whole_number(1), 50), names=(str, None),
        seed=(whole_number(), 0), question=(str, None),
    )  # fmt: skip
    if len(runs) < 2:
        raise Usage("name two runs at least: egsde pairs RUN_A RUN_B out=DIR")
    if not settings["out"]:
        raise Usage("say where the page goes: out=DIR")
    names = settings["names"].split(",") if settings["names"] else None
    systems, keys, _ = systems_of([Path(run).expanduser() for run in runs], names)
    asked = drawn([s.name for s in systems], keys, settings["images"], settings["seed"])
    out = Path(settings["out"]).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    page, key = write_pairs(out, systems, asked, settings["question"])
    print(f"{len(asked)} pairs in {page}, to give away; keep {key}, which knows who made what")
    print(f"when answers come back: egsde pairs score FILE ... key={key}")


def score(arguments: Sequence[str]) -> None:
    """Percentages of the answers in files, printed, and written where asked. ValueError for
    files of another kind."""
    files, settings = split("pairs score", arguments, key=(str, None), out=(str, None))
    if not files:
        raise Usage("name the files of answers: egsde pairs score FILE ...")
    paths = [Path(file).expanduser() for file in files]
    place = Path(settings["key"]).expanduser() if settings["key"] else _key_of(paths)
    key = _read(place)
    if not {"study", "systems", "pairs"} <= key.keys():
        raise ValueError(f"{place} is no key of a study; give key=DIR/key.json, of egsde pairs")
    sheets: dict[str, dict[str, Any]] = {}
    for path in paths:
        sheet = _read(path)
        if not isinstance(sheet.get("answers"), dict) or "sheet" not in sheet:
            raise ValueError(f"{path} holds no answers; name what the page of the study has saved")
        before = sheets.get(str(sheet["sheet"]))
        if before is not None:
            print(f"{path} is another file of the same answers; the one with more of them counts")
        if before is None or len(sheet["answers"]) > len(before["answers"]):
            sheets[str(sheet["sheet"])] = sheet
    found = scored(key, sheets.values())
    answers = sum(preference.answers for preference in found)
    print(f"{answers} answers on {len(sheets)} sheets")
    for preference in found:
        print(_told(preference))
    if settings["out"]:
        _write(Path(settings["out"]).expanduser(), found)


def _key_of(files: Sequence[Path]) -> Path:
    places = [*(file.parent / "key.json" for file in files), Path("key.json")]
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"no key.json beside {files[0]} or here; give the one of the study: key=DIR/key.json"
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"no file at {path.absolute()}")
    return read_object(path, "name what the page or egsde pairs has written")


def _told(preference: Preference) -> str:
    wilson, exact = preference.wilson, preference.exact
    return (
        f"{preference.one} over {preference.other}: {wilson.value:.1%} of {preference.answers} "
        f"(95 %: Wilson {wilson.low:.1%} to {wilson.high:.1%}, Clopper-Pearson {exact.low:.1%} to "
        f"{exact.high:.1%})"
    )


def _write(path: Path, found: Sequence[Preference]) -> None:
    columns = ["one", "other", "chosen", "answers", "share", "wilson_low", "wilson_high",
               "exact_low", "exact_high"]  # fmt: skip
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for p in found:
            ends = (p.wilson.low, p.wilson.high, p.exact.low, p.exact.high)
            writer.writerow([p.one, p.other, p.chosen, p.answers, p.wilson.value, *ends])
