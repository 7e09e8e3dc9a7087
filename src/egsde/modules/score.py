"""Denoising score matching: minimise E || target(x_0, eps) - net(x_t, t) ||^2 (Ho 2020, eq. 14).

x_t = alpha(t) x_0 + sigma(t) eps with t uniform over the process's training times; the target is
eps, x_0 or v (`egsde.predictions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from egsde.modules.base import Schedule, TimedModule
from egsde.scores import ScoreModel


class ScoreModule(TimedModule):
    """Trains `score.net` on the batch's "image", (B, C, H, W) in [-1, 1]."""

    def __init__(
        self,
        score: ScoreModel,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.9999,
    ) -> None:
        super().__init__(score.net, optimizer, schedule, ema_decay)
        self.score = score

    @property
    def averaged(self) -> ScoreModel:
        """The score with the averaged weights."""
        return self.with_averaged_net(self.score)

    def loss(self, score: ScoreModel, x0: Tensor, stage: str) -> Tensor:
        """Mean squared error per element; the per-image values go to the time bins."""
        sde = score.sde
        t = sde.training_time(torch.rand(len(x0), 1, 1, 1, device=x0.device, dtype=torch.float64))
        eps = torch.randn_like(x0)
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        target = score.prediction.target(x0, eps, alpha, sigma).to(x0.dtype)
        error = (score.output(sde.perturb(x0, t, eps), t) - target).square().flatten(1).mean(1)
        self.bins[stage].add(t / sde.T, error)
        return error.mean()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss = self.loss(self.score, batch["image"], "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.loss(self.averaged, batch["image"], "val")
