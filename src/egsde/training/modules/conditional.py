"""Training a score of p(y | condition): ScoreModule's loss of the targets, given their conditions.

E_{t, (x, y_0), eps} weight(t) loss(score(. | x), y_0, t, eps): SR3 (Saharia 2021), Palette
(Saharia 2022); minimised by the score of the conditional law (Batzolis 2021, theorem 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from egsde.scores.conditional import ConditionalScore
from egsde.training.modules.base import Schedule
from egsde.training.modules.score import ScoreModule
from egsde.training.objectives import Objective, Simple, Times, UniformTimes
from egsde.training.tasks import Paired, Task


class ConditionalModule(ScoreModule):
    """Trains `score.net`. task: what of a batch is the condition, and what the target."""

    score: ConditionalScore

    def __init__(
        self,
        score: ConditionalScore,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        loss: Objective = Simple(),  # noqa: B008 (frozen)
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
        task: Task = Paired(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(score, optimizer, schedule, ema_decay, loss, times)
        self.task = task

    def problem(self, score: Any, batch: dict[str, Any]) -> tuple[Any, Tensor]:
        """The score given the batch's conditions, and the targets."""
        pair = self.task(batch | {"draws": self.draws})
        if pair.known is None:
            return score.given(self.latent(pair.condition)), self.latent(pair.target)
        return score.given(pair.condition, pair.known), pair.target
