"""A human study of blinded pairs: a page that asks, a key that knows, and what answers say.

The page holds pixels and random-looking names alone; which system made what stands in the key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

from egsde.disk import whole
from egsde.evaluation.pages.comparison import System
from egsde.evaluation.pages.html import data_uri, embedded, page, text
from egsde.evaluation.pages.intervals import Interval, share

QUESTION = "Which of the two is the better translation of the picture above them?"
ALONE = "Which of the two pictures is better?"  # where no source can be shown
SIDES = ("left", "right")


@dataclass(frozen=True)
class Asked:
    """A pair of the study: the image, who is left and right."""

    image: str
    left: str
    right: str


def drawn(names: Sequence[str], keys: Sequence[str], count: int, seed: int) -> list[Asked]:
    """`count` images, evenly chosen, of every two systems, in the order and on the sides that the
    seed says; of an odd number of pairs one system is left once more."""
    count = min(count, len(keys))
    chosen = [keys[k * len(keys) // count] for k in range(count)]
    asked = []
    for one, other in combinations(sorted(names), 2):
        order = sorted(chosen, key=lambda image: _key(seed, "side", one, other, image))
        for k, image in enumerate(order):
            left, right = (one, other) if k % 2 else (other, one)
            asked.append(Asked(image, left, right))
    return sorted(asked, key=lambda p: _key(seed, "order", p.image, p.left, p.right))


def _key(seed: int, *parts: str) -> str:
    told = json.dumps([seed, *parts])
    return blake2b(told.encode(), digest_size=16).hexdigest()


def write_pairs(
    out: Path, systems: Sequence[System], asked: Sequence[Asked], question: str | None = None
) -> list[Path]:
    """pairs.html, which is given away, and key.json, which is not."""
    of = {system.name: system for system in systems}
    pictures: dict[str, str] = {}

    def kept(image: str, name: str | None) -> str | None:
        """The name of a picture in the page, the same for the same pixels."""
        kinds = (of[name] if name else _with_source(systems, image)).pictures[image]()
        picture = kinds.get("translation" if name else "source")
        if picture is None:
            return None
        uri = data_uri(picture)
        short = blake2b(uri.encode(), digest_size=6).hexdigest()
        pictures[short] = uri
        return short

    shown = [
        {"id": str(k), "source": kept(p.image, None), "left": kept(p.image, p.left),
         "right": kept(p.image, p.right)}
        for k, p in enumerate(asked, 1)
    ]  # fmt: skip
    question = question or (QUESTION if any(pair["source"] for pair in shown) else ALONE)
    study = blake2b(json.dumps([shown, question]).encode(), digest_size=6).hexdigest()
    ordered = dict(sorted(pictures.items()))  # not in the order of the systems
    html = page(
        "pairs", "Which one?", question=text(question), count=str(len(asked)),
        data=embedded({"study": study, "pairs": shown, "pictures": ordered}),
    )  # fmt: skip
    key = {
        "study": study, "question": question, "systems": [system.name for system in systems],
        "pairs": {
            str(k): {"image": p.image, "left": p.left, "right": p.right}
            for k, p in enumerate(asked, 1)
        },
    }  # fmt: skip
    paths = [out / "pairs.html", out / "key.json"]
    for path, content in zip(paths, (html, json.dumps(key, indent=1) + "\n"), strict=True):
        with whole(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return paths


def _with_source(systems: Sequence[System], image: str) -> System:
    """A system that shows the image's source; the first, where none does."""
    known = (system for system in systems if "source" in system.pictures[image]())
    return next(known, systems[0])


@dataclass(frozen=True)
class Preference:
    """How often `one` was chosen over `other`, with the intervals of Wilson and of Clopper and
    Pearson. Answers of one person, and on one image, are not independent, which both assume."""

    one: str
    other: str
    chosen: int
    answers: int

    @property
    def wilson(self) -> Interval:
        """Of chosen / answers (Wilson 1927)."""
        return share(self.chosen, self.answers)

    @property
    def exact(self) -> Interval:
        """Of chosen / answers (Clopper and Pearson 1934), which is wider."""
        return share(self.chosen, self.answers, "exact")


def scored(key: Mapping[str, Any], sheets: Iterable[Mapping[str, Any]]) -> list[Preference]:
    """Of every two systems, from sheets of answers. ValueError where one is of another study, or
    answers what was not asked."""
    chosen: Counter[tuple[str, str]] = Counter()
    for sheet in sheets:
        if sheet.get("study") != key["study"]:
            raise ValueError(
                f"answers of study {sheet.get('study')} and the key of study {key['study']}; give "
                "the key.json that was written with that page: key=DIR/key.json"
            )
        for name, side in sheet["answers"].items():
            if name not in key["pairs"] or side not in SIDES:
                raise ValueError(f"the answer {name}: {side!r} is to no pair of the study")
            pair = key["pairs"][name]
            loser = pair["right" if side == "left" else "left"]
            chosen[pair[side], loser] += 1
    found = []
    for one, other in combinations(key["systems"], 2):
        wins, losses = chosen[one, other], chosen[other, one]
        if wins + losses:
            found.append(Preference(one, other, wins, wins + losses))
    return found
