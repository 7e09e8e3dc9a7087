"""Training a score: minimise E_{t, x_0, eps} weight(t) loss(score, x_0, t, eps).

By default the mean squared error of the prediction (Ho 2020, eq. 14) at the process's own times;
others are in `egsde.training.objectives`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from egsde.scores import ScoreModel
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.objectives import Objective, Simple, Times, UniformTimes


class ScoreModule(TimedModule):
    """Trains `score.net` on the batch's "image", (B, C, H, W) in [-1, 1].

    loss: (score, x_0, t, eps) -> (B,). times: u -> (t, weight).
    """

    def __init__(
        self,
        score: ScoreModel,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        loss: Objective = Simple(),  # noqa: B008 (frozen)
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(score.net, optimizer, schedule, ema_decay)
        self.score = score
        self.objective, self.times = loss, times

    @property
    def averaged(self) -> ScoreModel:
        """The score with the averaged weights."""
        return self.with_averaged_net(self.score)

    def problem(self, score: Any, batch: dict[str, Any]) -> tuple[Any, Tensor]:
        """What is trained on a batch: a score (y, t) -> like y, and its clean images."""
        return score, self.latent(batch["image"])

    def loss(self, score: Any, x0: Tensor, stage: str) -> Tensor:
        """Mean over the batch; the per-image values go to the time bins."""
        u = self.draws.uniform(x0)
        t, weight = self.times(score.sde, u)
        losses = self.objective(score, x0, t, self.draws.normal(x0))
        self.bins[stage].add(score.sde.fraction(t), losses, weight)
        if stage == "train":
            self.times.observe(u, losses)
        return (weight.flatten().to(losses) * losses).mean()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss = self.loss(*self.problem(self.score, batch), "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.loss(*self.problem(self.averaged, batch), "val")
