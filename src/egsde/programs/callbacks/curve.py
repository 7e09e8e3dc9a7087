"""An honest stop: KID of the validation images against steps, and whether more would still help.

The curve stands between two lines, real against real (the floor, nothing can be told apart below)
and the untouched sources (what doing nothing is worth). The test images are not seen.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.disk import whole
from egsde.programs.better import mode_of

Point = dict[str, float]  # step, value, and where they are known low, high, floor, source
PARTS = ("low", "high", "floor", "source")


class Curve(Callback):
    """Keeps `val/NAME` of every validation, draws out/curve.png, and says a sentence at the end."""

    def __init__(self, out: str | Path, name: str = "kid") -> None:
        self.path, self.name = Path(out) / "curve.png", name
        self.points: list[Point] = []

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.points = [dict(point) for point in state_dict["points"]]

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        found, key = trainer.callback_metrics, f"val/{self.name}"
        step = trainer.global_step
        if trainer.sanity_checking or key not in found:
            return
        if self.points and self.points[-1]["step"] >= step:
            return
        parts = {p: float(found[f"{key}_{p}"]) for p in PARTS if f"{key}_{p}" in found}
        point = {"step": float(step), "value": float(found[key]), **parts}
        if self.points and point == self.points[-1] | {"step": float(step)}:
            return  # nothing was translated since (translate.every)
        self.points.append(point)
        if trainer.is_global_zero:
            draw(self.points, self.path, self.name)

    @rank_zero_only
    def tell(self) -> None:
        """The best step with its interval, and whether more steps would help."""
        if self.points:
            print(f"{verdict(self.points, self.name)}\nthe curve is {self.path}")


def verdict(points: list[Point], name: str = "kid") -> str:
    """Sentences from the validations of a run, each with its interval.

    The slope is that of a line through the last third of the validations, two at least; what it
    predicts for as many steps more counts if it is more than half the width of the interval.
    """
    sign, label = (-1 if mode_of(name) == "max" else 1), name.upper()
    best = min(points, key=lambda p: sign * p["value"])
    text = f"validation {label} is best at step {best['step']:.0f}: {_told(best)}"
    for part, words in (("source", "the untouched sources"), ("floor", "real against real")):
        if part in best:
            text += f", {words} {best[part]:.4g}"
    last = points[-max(2, math.ceil(len(points) / 3)) :]
    half = np.median([(p["high"] - p["low"]) / 2 for p in last if "low" in p] or [math.nan])
    if len(points) < 3 or not math.isfinite(half):
        return f"{text}. Too few validations to say whether more steps would help"
    steps = np.array([p["step"] for p in last])
    slope = np.polyfit(steps - steps[0], [p["value"] for p in last], 1)[0]
    gain = -sign * slope * (steps[-1] - steps[0])
    moved = f"over the last {steps[-1] - steps[0]:.0f} steps it changed by {-sign * gain:+.2g}"
    bound = f"its interval of ±{half:.2g}"
    if gain > half:
        return f"{text}. More steps would likely help: {moved}, beyond {bound}"
    if gain < -half:
        return f"{text}. More steps would harm: {moved}, beyond {bound}"
    return f"{text}. More steps of this schedule would hardly help: {moved}, within {bound}"


def _told(point: Point) -> str:
    interval = f" [{point['low']:.4g}, {point['high']:.4g}]" if "low" in point else ""
    return f"{point['value']:.4g}{interval}"


def draw(points: list[Point], path: Path, name: str) -> None:
    """The values with their intervals against steps, the floor and the do-nothing line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps, values = [p["step"] for p in points], [p["value"] for p in points]
    if all("low" in p for p in points):
        low, high = ([p[side] for p in points] for side in ("low", "high"))
        axes.fill_between(steps, low, high, alpha=0.25, linewidth=0, label="95 % interval")
    axes.plot(steps, values, marker="o", label=f"validation {name.upper()}")
    for part, words, colour in (("source", "do nothing", "tab:red"), ("floor", "floor: real "
                                "against real", "tab:green")):  # fmt: skip
        if part in points[-1]:
            axes.axhline(points[-1][part], color=colour, linestyle="--", label=words)
    axes.set(xlabel="training steps", ylabel=name.upper())
    axes.legend(fontsize=8)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
