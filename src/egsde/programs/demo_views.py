"""What a translation looks like on its way: the pictures of its moments and its energies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from egsde.data.images import square, to_rgb
from egsde.evaluation.reports.grid import as_picture
from egsde.noise import Noise
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.callbacks.trajectories import Watcher
from egsde.programs.load import PictureTranslator
from egsde.sampling.watched import watched


@dataclass(frozen=True)
class View:
    """What is shown while an image comes about, the last one being the whole of it."""

    source: Image.Image
    result: Image.Image
    states: list[tuple[Image.Image, str]]
    denoised: list[tuple[Image.Image, str]]
    energies: Image.Image


def walk(made: PictureTranslator, picture: Image.Image, seed: int = 0) -> Iterator[View]:
    """A view at each kept moment of a translation, then one with the result."""
    source = square(to_rgb(picture), made.size).copy()
    x = torch.from_numpy(source).permute(2, 0, 1)[None]
    x0, noise = x.to(torch.float32).div(127.5).sub(1.0), Noise(seed, ["0"])
    watcher = Watcher()
    shown = watched(made.translator, watcher)
    y, seen = x0, 0
    states: Any = getattr(shown, "trajectory", None)
    walked = states(x0, noise) if states else [(0, 0, shown(x0, noise))]
    for _, _, y in walked:  # noqa: B007 (the last one is the result)
        if len(watcher.moments) > seen:
            seen = len(watcher.moments)
            yield _view(source, watcher, watcher.moments[-1]["denoised"])
    yield _view(source, watcher, to_uint8(y))


def _view(source: np.ndarray, watcher: Watcher, result: torch.Tensor) -> View:
    def strip(kind: str) -> list[tuple[Image.Image, str]]:
        return [(_large(m[kind][0]), f"t = {m['t']:.3g}") for m in watcher.moments]

    plain = torch.from_numpy(source).permute(2, 0, 1)
    drawn = energies(watcher.moments)
    return View(_large(plain), _large(result[0]), strip("state"), strip("denoised"), drawn)


def _large(image: torch.Tensor, least: int = 256) -> Image.Image:
    """Enlarged by whole pixels, so that browsers do not blur it."""
    picture = Image.fromarray(as_picture(image))
    scale = max(1, least // picture.width)
    size = picture.width * scale, picture.height * scale
    return picture.resize(size, Image.Resampling.NEAREST)


def energies(moments: Sequence[Mapping[str, Any]]) -> Image.Image:
    """Each energy, weight times value, along the way."""
    names = list(dict.fromkeys(name for moment in moments for name in moment["energies"]))
    figure = Figure(figsize=(6, 2.2), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for k, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), k)
        known = [(m["t"], float(m["energies"][name][0])) for m in moments if name in m["energies"]]
        axes.plot(*zip(*known, strict=True), marker="o")
        axes.invert_xaxis()
        axes.set(title=name, xlabel="t")
    if not names:
        figure.text(0.5, 0.5, "this method has no energy", ha="center")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
