"""Diffusion Schroedinger bridge matching (Shi 2023, arXiv 2303.16852): IMF with two networks.

Each direction learns the bridges between real images and what the other direction makes of them,

    L_y = bridge loss of y from pairs (y, x~),  x~ sampled from y by the averaged s_x,
    L_x = bridge loss of x from pairs (x, y~),  y~ sampled from x by the averaged s_y,

which is iterative Markovian fitting with pairs that are renewed as training goes on (De Bortoli
2024); for the first `wait` steps the pairs are the batch's own, independent. The fixed point is the
Schroedinger bridge of the process: between N(0, s1^2) and N(0, s2^2) with Brownian variance v the
covariance of the ends is (sqrt(v^2 + 4 s1^2 s2^2) - v) / 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.noise import Noise
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores import ScoreModel
from egsde.sde.reverse import Reverse
from egsde.training.bridges import Path
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.modules.bridge import matching
from egsde.training.modules.cycle import OTHER
from egsde.training.partners import Partners


@dataclass(frozen=True)
class Across:
    """What a direction makes of the other domain's images: a walk from them, without gradients.

    Stands where `KeptPartners` wants what samples anew.
    """

    sampler: Sampler

    def __call__(
        self, direction: str, score: Any, images: Tensor, ids: Sequence[str], noise: Noise
    ) -> Tensor:
        sde = score.sde
        walk = Walk(self.sampler, Reverse(sde, score), self.sampler.times(sde, sde.T), noise)
        return walk.run(images)


class DSBMModule(TimedModule):
    """Trains both networks on the batch's unpaired "x" and "y" (data.view=both).

    partners: where x~ and y~ come from; a direction that has none yet learns from independent
    pairs.
    """

    def __init__(
        self,
        score_x: ScoreModel,
        score_y: ScoreModel,
        path: Path,
        partners: Partners,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        wait: int = 200,
    ) -> None:
        networks = nn.ModuleDict({"x": score_x.net, "y": score_y.net})
        super().__init__(networks, optimizer, schedule, ema_decay)
        self.scores = {"x": score_x, "y": score_y}
        self.path, self.partners, self.wait = path, partners, wait

    @property
    def averaged(self) -> ScoreModel:
        """The score that makes the target, averaged."""
        return self.with_averaged_net(self.scores["y"], "y")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        images, ids = {"x": batch["x"], "y": batch["y"]}, {"x": batch["id"], "y": batch["id_y"]}
        total = torch.zeros((), device=self.device)
        for d, other in OTHER.items():
            partner = self.partner(other, images[d], ids[d])
            partner = images[other] if partner is None else partner
            u, noise = self.draws.uniform(images[d]), self.draws.normal(images[d])
            t, losses = matching(self.scores[d], self.path, images[d], partner, u, noise)
            self.bins["train"].add(self.scores[d].sde.fraction(t), losses)
            total = total + losses.mean()
        self.log("total", total, prog_bar=True, logger=False)
        self.means.add("train/total", total, len(batch["x"]))
        return total

    def partner(self, makes: str, images: Tensor, ids: list[str]) -> Tensor | None:
        """Images of domain `makes` from the other's, or None while it has not learned."""
        if self.global_step < self.wait:
            return None
        score = self.with_averaged_net(self.scores[makes], makes)
        noise = Noise(self.seed, ids).child(f"{self.draw}/{makes}")
        made = self.partners(makes, score, images, ids, noise)  # type: ignore[arg-type]
        return None if made is None else made.detach()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a loss whose pairs the model makes itself."""
