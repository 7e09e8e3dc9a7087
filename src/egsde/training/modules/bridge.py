"""Flows and bridges: E || target - net(x_t, t) ||^2 on paths between the images of a pair.

Flow matching (Lipman 2023), rectified flow (Liu 2023), I2SB (Liu 2023) and DDBM (Zhou 2024) differ
in coupling, path, process and prediction, which are parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from egsde.scores import ScoreModel
from egsde.training.bridges import Coupled, Independent, Path, together
from egsde.training.modules.base import Schedule, TimedModule


def matching(score: Any, path: Path, y: Tensor, x: Tensor, u: Tensor, noise: Tensor) -> Any:
    """(t, loss per image) of one pair's end y."""
    sde = score.sde
    point = path(sde, y, x, u, noise)
    target = score.prediction.target(y, point.eps, sde.alpha(point.t), sde.sigma(point.t))
    error = score.output(point.x_t, point.t) - target.to(y.dtype)
    return point.t, error.square().flatten(1).mean(1)


class BridgeModule(TimedModule):
    """Trains `score.net` on the batch's "x" and "y": unpaired (data.view=both) or pairs.

    score: of the target's end; a ConditionalScore sees the source, too.
    """

    def __init__(
        self,
        score: ScoreModel,
        path: Path,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        coupling: Coupled = Independent(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(score.net, optimizer, schedule, ema_decay)
        self.score, self.path, self.coupling = score, path, coupling

    @property
    def averaged(self) -> ScoreModel:
        """The score with the averaged weights."""
        return self.with_averaged_net(self.score)

    def loss(self, score: ScoreModel, batch: dict[str, Any], stage: str) -> Tensor:
        """Mean over the batch; its values go to the time bins. ValueError without x and y."""
        if not {"x", "y"} <= batch.keys():
            raise ValueError(
                f"a bridge needs x and y, but the batch has {', '.join(sorted(batch))}; add "
                "data.view=both, or data.view=paired for pairs"
            )
        u, couple = self.draws.uniform(batch["x"]), self.coupling
        if stage == "train":
            x, y = together(couple, batch["x"], batch["y"], u)
        else:  # processes may validate different numbers of batches
            x, y = couple(batch["x"], batch["y"], u)
        u, noise = self.draws.uniform(y), self.draws.normal(y)
        given: Any = score.given(x) if score.conditional else score  # type: ignore[operator]
        t, losses = matching(given, self.path, y, x, u, noise)
        self.bins[stage].add(score.sde.fraction(t), losses)
        return losses.mean()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss = self.loss(self.score, batch, "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.loss(self.averaged, batch, "val")
