"""What validation translates with the averaged weights: numbers, pictures, energies, seconds.

The images are a fixed part of the validation split, their noise is keyed by their names, and every
rank translates its own: the numbers are those of `sample.py split=val limit=IMAGES
metrics.protocol.reference_split=val` for the same weights and settings, on any number of devices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from egsde.disk import whole
from egsde.evaluation.metrics import Suite
from egsde.methods.diffusion import Translator, networks_of
from egsde.noise import Noise
from egsde.programs.callbacks.energies import energies_along
from egsde.programs.callbacks.pictures import log_image, log_table
from egsde.programs.callbacks.progress import inside
from egsde.programs.callbacks.translate import Report, Translate
from egsde.programs.multiples import padded

TRACED = 4  # images whose energies are followed


class Validation(Callback):
    """At every `every`-th validation: `val/NAME` of each metric, out/previews, energies.

    images: so many of the split (`data.limit`). columns: of them in the picture. `make`, set by the
    entry point, gives the translator of the network that is trained, once it knows its data.
    ValueError for a count below 1.
    """

    make: Callable[[], Translator]

    def __init__(
        self,
        out: str | Path,
        metrics: Suite | None = None,
        seed: int = 0,
        images: int = 32,
        every: int = 1,
        columns: int = 12,
    ) -> None:
        if min(images, every, columns) < 1:
            raise ValueError(
                f"translate.images, every and columns count from 1, got {images}, {every} and "
                f"{columns}; translate=null translates nothing"
            )
        self.out, self.metrics, self.seed = Path(out), metrics, seed
        self.images, self.every = images, every
        self.worker = Translate(out, seed, "val", metrics, columns)
        self.seen = 0  # validations

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.translator = self.make()

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen = state_dict["seen"]

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self.seen += 1
        if self.seen % self.every == 0:
            self.translate(trainer, module)

    def translate(self, trainer: Trainer, module: LightningModule) -> None:
        """Translate, measure, log."""
        began = time.perf_counter()
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for network in networks_of(self.translator).values():
            network.to(module.device)
        report = self.worker.run(
            trainer, padded(self.translator), data, module.device, shelf=None, shown=bool(inside)
        )
        found = {k: v for k, v in report.metrics.items() if math.isfinite(v)}
        found |= intervals(report)
        found["seconds"] = time.perf_counter() - began
        module.log_dict({f"val/{k}": v for k, v in found.items()}, sync_dist=True)
        if trainer.is_global_zero:
            self._show(trainer, module, data, report)

    def _show(self, trainer: Trainer, module: LightningModule, data: Any, report: Report) -> None:
        """Pictures and energies, by the first rank alone."""
        step, images = trainer.global_step, data.translations("val")
        first = [images[i] for i in range(min(TRACED, len(images)))]
        along = energies_along(self.translator, first, Noise(self.seed, [i["id"] for i in first]),
                               module.device)  # fmt: skip
        for logger in trainer.loggers:
            logger.log_metrics({f"val/energy/{k}": v for k, v in along.items()},
                               step=max(step - 1, 0))  # fmt: skip
        if report.grid is None:
            return
        folder = self.out / "previews"
        with whole(folder / f"step_{step:07d}.png") as temporary:
            report.grid.save(temporary, format="PNG")
        log_image(trainer, "previews", report.grid, step)
        numbers = {row["id"]: row for row in report.per_image}
        rows = ({**picture, **numbers.get(picture["id"], {})} for picture in report.pictures)
        log_table(trainer, "validation", rows, step)


def intervals(report: Report) -> dict[str, float]:
    """{"kid_low": ..., "kid_high": ...}: 95 % of KID, by its interval or by its standard error."""
    found, error = report.metrics, report.metrics.get("kid_se")
    given = report.intervals.get("kid")
    if given is None and error is not None:
        given = (found["kid"] - 1.96 * error, found["kid"] + 1.96 * error)
    sides = dict(zip(("kid_low", "kid_high"), given or (), strict=False))
    return {name: float(value) for name, value in sides.items() if math.isfinite(value)}
