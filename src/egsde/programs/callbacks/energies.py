"""The terms of a translator's energy along its trajectory: what guidance had to work against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from egsde.methods.diffusion import Translator
from egsde.noise import Noise
from egsde.source import Source
from egsde.training.modules.bins import TimeBins

BINS = 10


@torch.inference_mode(False)
@torch.no_grad()
def energies_along(
    translator: Translator, images: Sequence[dict[str, Any]], noise: Noise, device: torch.device
) -> dict[str, float]:
    """{"NAME/t0.2-0.3": mean of E_NAME(y_t, x_t, t) over images and states in that tenth of T}.

    images: items of a data set with "x0". The terms are unweighted. Empty for translators without
    an energy, and without a trajectory of one process.
    """
    walks: Any = translator
    whole = getattr(walks, "target", walks)  # of a translator with two scores
    score = getattr(whole, "score", None)
    energy = getattr(score, "energy", None)
    sde = getattr(whole, "sde", getattr(score, "sde", None))
    if energy is None or sde is None or not hasattr(whole, "source_noise") or not images:
        return {}
    stacked = {k: torch.stack([i[k] for i in images]).to(device) for k in images[0] if k != "id"}
    stacked.pop("truth", None)
    x0 = stacked.pop("x0")
    source = Source(x0, sde, noise.child(0), whole.source_noise, stacked, current=x0)
    bins: dict[str, TimeBins] = {name: TimeBins(BINS) for name in energy.weighted()}
    for i, t, y in walks.trajectory(x0, noise, **stacked):
        if float(t) == 0:  # guidance sees the times before a step
            continue
        source.begin(i, t)
        for name, (term, _) in energy.weighted().items():
            values = term(y, t, source)
            bins[name].add(_fraction(sde, t, len(values)), values)
    found = {k: v for name, tally in bins.items() for k, v in tally.pop(name).items()}
    return {name: value for name, value in found.items() if "/t" in name}


def _fraction(sde: Any, t: Tensor, count: int) -> Tensor:
    return torch.as_tensor(sde.fraction(t)).reshape(1).expand(count)
