"""The ways of a few images of a run, for its report: made once more beside it, watched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from egsde.data import Written, output_name
from egsde.data.domains import spread
from egsde.data.series import noise_of
from egsde.evaluation.pages.trajectory import Trajectory, trajectory_path
from egsde.evaluation.reports.grid import as_picture
from egsde.methods.diffusion import Translator
from egsde.noise import Noise
from egsde.programs.callbacks.pictures import to_uint8
from egsde.programs.callbacks.progress import images_bar
from egsde.programs.callbacks.shelf import Seconds
from egsde.sampling.sampler import Walk
from egsde.sampling.watched import watched

MOMENTS = 12  # of a walk
WIDEST = 64  # pixels that are added for a network's halvings, and less
FEW, CHEAP = 4, 30.0  # images by default, and the seconds that they may take together


@dataclass
class Watcher:
    """Collects what a walk is like at some of its states, for all images of a batch."""

    moments: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, walk: Walk, i: int, t: Tensor, y: Tensor) -> None:
        last = len(walk.times) - 1
        if i <= last and i not in {round(k * last / (MOMENTS - 1)) for k in range(MOMENTS)}:
            return
        sde = walk.reverse.sde
        noisy = float(sde.sigma(t)) > 0
        scale = (sde.alpha(t).square() + sde.sigma(t).square()).sqrt()
        values: Mapping[str, Tensor] = {}
        denoised = y
        if noisy and walk.source is not None:
            walk.source.begin(i, t)
            values = _energies(walk, y, t)
        if noisy:
            denoised = walk.reverse.x0(y, t)
        self.moments.append({
            "step": i,
            "t": float(t),
            "state": to_uint8((y / scale).to(y.dtype)),
            "denoised": to_uint8(denoised),
            "energies": {name: value.double().cpu() for name, value in values.items()},
        })  # fmt: skip

    def of(self, b: int) -> Trajectory:
        """The way of image b of the batch."""
        names = list(dict.fromkeys(n for m in self.moments for n in m["energies"]))
        rows: dict[str, list] = defaultdict(list)
        for moment in self.moments:
            energies = moment["energies"]
            rows["energies"].append([float(energies[n][b]) if n in energies else np.nan
                                     for n in names])  # fmt: skip
            for key in ("state", "denoised"):
                rows[key].append(as_picture(moment[key][b]))
        return Trajectory(
            step=np.array([m["step"] for m in self.moments]),
            t=np.array([m["t"] for m in self.moments]),
            states=np.stack(rows["state"]),
            denoised=np.stack(rows["denoised"]),
            energies=np.array(rows["energies"], dtype=float).reshape(len(self.moments), -1),
            names=np.array(names, dtype=np.str_),
        )


def _energies(walk: Walk, y: Tensor, t: Tensor) -> dict[str, Tensor]:
    """Weight times value of each term that guides the walk, (B,) each."""
    score = getattr(walk.reverse.score, "func", walk.reverse.score)
    while not hasattr(score, "energy") and hasattr(score, "score"):
        score = score.score
    energy: Any = getattr(score, "energy", None)
    terms = energy.weighted() if hasattr(energy, "weighted") else {}
    return {n: w * term(y, t, walk.source) for n, (term, w) in terms.items() if w != 0}


@torch.no_grad()
def ways(
    translator: Translator, x0: Tensor, noise: Noise, **cond: Tensor
) -> tuple[Tensor, list[Trajectory]]:
    """The translations and the way of each; no ways where the translator walks along no times."""
    watcher = Watcher()
    y = watched(translator, watcher)(x0, noise, **cond)
    watcher.moments = [m for m in watcher.moments if _of_images(m["state"], y)]
    for moment in watcher.moments:
        moment |= {k: moment[k][..., : y.shape[-2], : y.shape[-1]] for k in ("state", "denoised")}
    return y, [watcher.of(b) for b in range(len(y))] if watcher.moments else []


def _of_images(state: Tensor, y: Tensor) -> bool:
    """Whether a state is of images like y, or of y with an edge that a network needs: not of a
    cascade's smaller stage, of a tile, or in a codec's space."""
    edges = (a - b for a, b in zip(state.shape[2:], y.shape[2:], strict=True))
    return state.shape[:2] == y.shape[:2] and all(0 <= edge < WIDEST for edge in edges)


class Trajectories(Callback):
    """After a run's images, those of `count` of them, evenly chosen, in out/trajectories.

    count None: 4, where that takes seconds; 0: none. ValueError for a count below 0.
    """

    def __init__(self, out: Path, seed: int, split: str, count: int | None) -> None:
        if count is not None and count < 0:
            raise ValueError(f"trajectory={count} is no number of images; 0 keeps none")
        self.out, self.seed, self.split, self.count = out, seed, split, count

    def on_test_epoch_end(self, trainer: Trainer, module: Any) -> None:
        if not trainer.is_global_zero or self.count == 0 or not module.data.store.drawable:
            return
        images = module.data.translations(self.split)
        ids = [images.dataset.ids[i] for i in images.indices]
        if self.count is None:
            each = Seconds(self.out).mean(ids)
            if each is None or each * FEW > CHEAP:
                return
        chosen = spread(len(ids), FEW if self.count is None else self.count)
        with images_bar(len(chosen), shown=True, doing="trajectories") as advance:
            for i in chosen:
                if not self._known(ids[i]):
                    batch = {k: v[None].to(module.device) for k, v in images[i].items()
                             if isinstance(v, Tensor) and k != "truth"}  # fmt: skip
                    self._keep(module, ids[i], batch)
                advance(1)

    def _known(self, name: str) -> bool:
        """Whether there is a way that was kept after its image was made."""
        image = Written.of(self.out).path(name)
        way = trajectory_path(self.out, output_name(name))
        made = image.stat().st_mtime if image.is_file() else 0.0
        return way.is_file() and way.stat().st_mtime >= made

    def _keep(self, module: LightningModule, name: str, batch: dict[str, Tensor]) -> None:
        translator: Any = module.translator
        noise = noise_of(module.data, self.seed, self.split, [name])
        _, found = ways(translator, batch.pop("x0"), noise, **batch)
        for trajectory in found:
            trajectory.save(trajectory_path(self.out, output_name(name)))
