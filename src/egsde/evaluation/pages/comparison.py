"""Several systems on the same images: what they share, their numbers, their differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from egsde.evaluation.pages.intervals import Interval, apart, paired

ALL_PAIRS = 6  # systems up to which each is compared with each; else with the first


@dataclass(frozen=True)
class System:
    """A run or another system's folder. values: the numbers of an image; pictures: what reads its
    pictures by kind, both by what the image is called everywhere; numbers: its metrics.json."""

    name: str
    numbers: Mapping[str, Any]
    values: Mapping[str, Mapping[str, float | None]]
    pictures: Mapping[str, Callable[[], Mapping[str, np.ndarray]]]

    @property
    def evaluations(self) -> float | None:
        """Of the score; of whatever network there is where none is called so."""
        nfe = self.numbers.get("nfe") or {}
        known = [nfe["score"]] if "score" in nfe else list(nfe.values())
        return float(max(known)) if known else None

    @property
    def seconds(self) -> float | None:
        found = self.numbers.get("seconds_per_image")
        return None if found is None else float(found)


@dataclass(frozen=True)
class Difference:
    """other - one in a number; `paired` over images, or of two numbers of whole sets."""

    one: str
    other: str
    name: str
    interval: Interval
    paired: bool


def shared(systems: Sequence[System]) -> list[str]:
    """The images that all systems have, sorted."""
    first, *others = [set(system.pictures) for system in systems]
    return sorted(first.intersection(*others))


def per_image(system: System, keys: Sequence[str], name: str) -> list[float] | None:
    """A number of each of these images; None where one of them lacks it."""
    found = [system.values.get(key, {}).get(name) for key in keys]
    return None if not found or None in found else [float(v) for v in found if v is not None]


def measured(system: System, keys: Sequence[str]) -> dict[str, Interval]:
    """The system's numbers: means over these images where each image has one, the others as they
    were measured on its whole set. An unknown interval is NaN to NaN."""
    found: dict[str, Interval] = {}
    intervals = system.numbers.get("intervals") or {}
    whole = set(keys) == set(system.pictures)
    for name, value in (system.numbers.get("metrics") or {}).items():
        if value is None:
            continue
        known = intervals.get(name)
        if known is None and f"{name}_se" in system.numbers["metrics"]:
            around = 1.96 * system.numbers["metrics"][f"{name}_se"]
            known = value - around, value + around
        low, high = known or (math.nan, math.nan)
        each = per_image(system, keys, name)
        if each is not None and (known is None or not whole):
            found[name] = paired([0.0] * len(each), each)
        else:
            found[name] = Interval(float(value), float(low), float(high))
    return found


def differences(systems: Sequence[System], keys: Sequence[str]) -> Iterator[Difference]:
    """Of every two systems, or of each to the first one, in every number that both have."""
    numbers = {system.name: measured(system, keys) for system in systems}
    several = [(systems[0], other) for other in systems[1:]]
    for one, other in permutations(systems, 2) if len(systems) <= ALL_PAIRS else several:
        for name, there in numbers[other.name].items():
            if name not in numbers[one.name] or name.endswith(("_se", "_floor", "_source")):
                continue
            here = numbers[one.name][name]
            a, b = per_image(one, keys, name), per_image(other, keys, name)
            if a is not None and b is not None:
                yield Difference(one.name, other.name, name, paired(a, b), True)
            elif not math.isnan(here.low + there.low):
                yield Difference(one.name, other.name, name, apart(here, there), False)


def unlike(systems: Sequence[System]) -> list[str]:
    """Sentences on what makes numbers not comparable: another reference, other features, counts."""
    told = []
    first = systems[0].numbers.get("protocol") or {}
    for system in systems[1:]:
        other = system.numbers.get("protocol") or {}
        keys = [k for k in first if k in other and first[k] != other[k] and k != "n_images"]
        if "reference" in keys and same_floor(systems[0], system):
            keys.remove("reference")  # sample.py names the data, evaluate.py what is in the files
        if keys:
            told.append(
                f"{systems[0].name} and {system.name} were measured in different ways "
                f"({', '.join(keys)}): FID, KID and what else is of whole sets do not compare."
            )
    return told


def same_floor(one: System, other: System) -> bool:
    """Whether real against real is the same number, as it is of the same images alone."""
    a, b = (system.numbers.get("metrics") or {} for system in (one, other))
    found = [(a[n], b[n]) for n in ("fid_floor", "kid_floor") if a.get(n) and b.get(n)]
    return bool(found) and all(math.isclose(x, y, rel_tol=1e-9) for x, y in found)


def table_rows(
    systems: Sequence[System], keys: Sequence[str], found: Sequence[Difference]
) -> list[dict[str, Any]]:
    """A row for each system, as compare.csv has it; the differences in it are to the first one."""
    rows = []
    for system in systems:
        row: dict[str, Any] = {
            "run": system.name, "images": len(system.pictures), "shared": len(keys),
            "evaluations": system.evaluations, "seconds_per_image": system.seconds,
        }  # fmt: skip
        for name, interval in measured(system, keys).items():
            row[name] = interval.value
            if not math.isnan(interval.low):
                row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
        for d in found:
            if (d.one, d.other) == (systems[0].name, system.name):
                ends = {"": d.interval.value, "_low": d.interval.low, "_high": d.interval.high}
                row |= {f"{d.name}_difference{end}": value for end, value in ends.items()}
                row[f"{d.name}_significant"] = d.interval.significant
        rows.append(row)
    return rows
