"""After a run's images: maps of what was invented and of what changed, in out/uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, Trainer
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from egsde.data import Written, output_name
from egsde.data.series import noise_of
from egsde.disk import whole
from egsde.evaluation.metrics.domain import domain_probability
from egsde.evaluation.uncertainty import uncertain
from egsde.programs.callbacks.pictures import as_float
from egsde.programs.callbacks.progress import images_bar

MAPS = {"spread": 0.5, "change": 1.0}  # what is drawn brightest; black to white is 2


class Uncertainty(Callback):
    """`count` more translations of each image; None: none. columns: numbers by image id, means of
    the maps. ValueError for a count below 2."""

    def __init__(
        self, out: Path, seed: int, split: str, count: int | None, judge: Any = None
    ) -> None:
        if count is not None and count < 2:
            raise ValueError(f"uncertainty={count} has no spread; use 2 or more, or null")
        self.out, self.seed, self.split, self.count = out, seed, split, count
        self.judge = judge
        self.columns: dict[str, dict[str, float]] = {}

    def on_test_epoch_end(self, trainer: Trainer, module: Any) -> None:
        if self.count is None or not trainer.is_global_zero or not module.data.store.drawable:
            return
        images = module.data.translations(self.split)
        ids = [images.dataset.ids[i] for i in images.indices]
        with images_bar(len(ids), shown=True, doing="spread") as advance:
            for i, name in enumerate(ids):
                batch = {k: v[None].to(module.device) for k, v in images[i].items()
                         if isinstance(v, Tensor) and k != "truth"}  # fmt: skip
                keys = noise_of(module.data, self.seed, self.split, [name])
                found = uncertain(module.translator, batch.pop("x0"), keys, self.count, **batch)
                maps = {"spread": found.spread[0].cpu(), "change": found.change[0].cpu()}
                for kind, values in maps.items():
                    save(values.numpy() / MAPS[kind], map_path(self.out, name, kind))
                self.columns[name] = {kind: float(values.mean()) for kind, values in maps.items()}
                self.columns[name] |= self._judged(module, name, images.dataset.ids)
                advance(1)

    def _judged(self, module: Any, name: str, ids: list[str]) -> dict[str, float]:
        """The judge's probability that the saved translation is of the target's domain."""
        place = Written.of(self.out).naming(ids).path(name)
        found = module.data.writer(self.split).read(name, place)
        if self.judge is None or found is None:
            return {}
        probability = domain_probability(self.judge, as_float(found[0])[None].to(module.device))
        return {"domain_probability": float(probability)}


def map_path(out: Path, name: str, kind: str) -> Path:
    """Where a map of an image lies."""
    return out / "uncertainty" / f"{output_name(name)}.{kind}.png"


def save(values: np.ndarray, path: Path) -> None:
    """A map in [0, 1] as a picture, whole or not there."""
    colours = (255 * colormaps["magma"](values.clip(0, 1))[..., :3]).round().astype(np.uint8)
    with whole(path) as temporary:
        Image.fromarray(colours).save(temporary, format="PNG")
