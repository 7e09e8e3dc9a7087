"""frontier.png: how real the translations are against what that costs: L2, evaluations, seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from egsde.disk import whole
from egsde.evaluation.pages.comparison import System
from egsde.evaluation.pages.intervals import Interval
from egsde.evaluation.pages.meanings import better

HEIGHTS = ("kid", "fid", "domain", "l2_truth", "l2")  # the first that two systems have
LABELS = {"l2": "L2 to the source", "l2_truth": "L2 to the truth", "kid": "KID", "fid": "FID"}
Point = tuple[str, Interval, Interval]  # (system, x, y)
NOTHING = "doing nothing"


def draw_frontier(
    path: Path, systems: Sequence[System], numbers: Mapping[str, Mapping[str, Interval]]
) -> None:
    """A panel for each of L2, evaluations and seconds that is known; a line joins the points that
    no other beats in both. Doing nothing, the untouched sources, is one, at no cost."""
    y, points = points_of(systems, numbers)
    figure = Figure(figsize=(4.2 * max(len(points), 1), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    if not points:
        figure.text(0.5, 0.5, "no number to draw", ha="center")
    marks = {s.name: (f"C{k % 10}", "osD^vPX*"[k // 10 % 8]) for k, s in enumerate(systems)}
    marks.setdefault(NOTHING, ("black", "x"))
    for k, (label, found) in enumerate(points.items(), 1):
        axes = figure.add_subplot(1, len(points), k)
        for name, x, height in found:
            colour, mark = marks[name]
            axes.errorbar(
                x.value, height.value, xerr=_reach(x), yerr=_reach(height), fmt=mark,
                color=colour, label=_plain(name), capsize=2,
            )  # fmt: skip
        line = frontier(found, lower_x=True, lower_y=better(y) < 0)
        axes.plot([p[0] for p in line], [p[1] for p in line], color="0.6", zorder=0)
        axes.set(xlabel=LABELS.get(label, label), ylabel=LABELS.get(y, y) if k == 1 else "")
        axes.grid(alpha=0.2)
        if k == len(points):
            axes.legend(fontsize=7)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def points_of(
    systems: Sequence[System], numbers: Mapping[str, Mapping[str, Interval]]
) -> tuple[str, dict[str, list[Point]]]:
    """The number that is drawn upwards, and the points of each panel."""
    have = {n: sum(n in numbers[s.name] for s in systems) for n in HEIGHTS}
    y = next((n for n in HEIGHTS if have[n] > 1), max(HEIGHTS, key=lambda n: have[n]))
    panels: dict[str, dict[str, Interval]] = {}
    if y != "l2":
        panels["l2"] = {n: v["l2"] for n, v in numbers.items() if "l2" in v}
    for label, value in (("evaluations", "evaluations"), ("seconds an image", "seconds")):
        known = {s.name: getattr(s, value) for s in systems if getattr(s, value) is not None}
        panels[label] = {n: Interval(v, math.nan, math.nan) for n, v in known.items()}
    points = {
        label: [(n, x, numbers[n][y]) for n, x in found.items() if y in numbers[n]]
        for label, found in panels.items()
    }
    points = {label: found for label, found in points.items() if found}
    free = Interval(0.0, math.nan, math.nan)
    untouched = next((v[f"{y}_source"] for v in numbers.values() if f"{y}_source" in v), None)
    if untouched is not None:
        points = {label: [(NOTHING, free, untouched), *found] for label, found in points.items()}
    return y, points


def frontier(points: Sequence[Point], lower_x: bool, lower_y: bool) -> list[tuple[float, float]]:
    """The points that none beats in one number and equals in the other, from left to right."""
    sx, sy = (1 if lower_x else -1), (1 if lower_y else -1)
    plain = sorted({(sx * x.value, sy * y.value) for _, x, y in points})
    best, found = math.inf, []
    for x, y in plain:
        if y < best:
            best = y
            found.append((sx * x, sy * y))
    return found


def _reach(interval: Interval) -> list[list[float]] | None:
    if not math.isfinite(interval.low + interval.high):
        return None
    low, high = interval.value - interval.low, interval.high - interval.value
    return [[max(low, 0.0)], [max(high, 0.0)]]


def _plain(name: str) -> str:
    """A name as matplotlib shows it: no formula, and in the legend even behind an underscore."""
    return " " + name.replace("$", r"\$")
