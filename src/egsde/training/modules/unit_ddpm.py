"""UNIT-DDPM (Sasaki 2021, arXiv 2104.05358): two scores learn from the guesses of two plain nets.

For the pairs (a, b) = (x, g_y(x)) and (g_x(y), y), with one t and noises of their own,

    D(s_x | b_t, a) + D(s_y | a_t, b),    and    cycle (|g_x(g_y(x)) - x| + |g_y(g_x(y)) - y|),

D(s | c, z) the denoising loss of s given c on z. All four networks learn together; g is not needed
when sampling. A condition is noised to the time of the image it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.scores.conditional import ConditionalScore
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.objectives import Objective, Simple, Times, UniformTimes


class UnitDDPMModule(TimedModule):
    """Trains on the batch's unpaired "x" and "y" (data.view=both).

    to_x, to_y: the plain networks that make images of that domain. The weights hold the parts x,
    y, to_x and to_y; `egsde.scores.files.load_cycle` opens a score of them.
    """

    def __init__(
        self,
        score_x: ConditionalScore,
        score_y: ConditionalScore,
        to_x: nn.Module,
        to_y: nn.Module,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        loss: Objective = Simple(),  # noqa: B008 (frozen)
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
        cycle: float = 10.0,
    ) -> None:
        parts = {"x": score_x.net, "y": score_y.net, "to_x": to_x, "to_y": to_y}
        super().__init__(nn.ModuleDict(parts), optimizer, schedule, ema_decay)
        self.scores = {"x": score_x, "y": score_y}
        self.objective, self.times, self.cycle = loss, times, cycle

    @property
    def averaged(self) -> ConditionalScore:
        """The score of the target given the noised source, averaged."""
        return self.with_averaged_net(self.scores["y"], "y")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x, y = batch["x"], batch["y"]
        to_x, to_y = self.network["to_x"], self.network["to_y"]  # type: ignore[index]
        like_y, like_x = to_y(x), to_x(y)
        u = self.draws.uniform(x)
        t, weight = self.times(self.scores["x"].sde, u)
        matching = self.matching(x, like_y, t, weight) + self.matching(like_x, y, t, weight)
        back = (to_x(like_y) - x).abs().mean() + (to_y(like_x) - y).abs().mean()
        total = matching + self.cycle * back
        self.log("total", total, prog_bar=True, logger=False)
        self.means.add("train/cycle", back, len(x))
        self.means.add("train/total", total, len(x))
        return total

    def matching(self, x: Tensor, y: Tensor, t: Tensor, weight: Tensor) -> Tensor:
        """Both scores on one pair, each given the other's noised image; mean over the batch."""
        score_x, score_y = self.scores["x"], self.scores["y"]
        sde, eps_x, eps_y = score_x.sde, self.draws.normal(x), self.draws.normal(y)
        x_t, y_t = sde.perturb(x, t, eps_x), sde.perturb(y, t, eps_y)
        losses = self.objective(score_x.given(y_t), x, t, eps_x)
        losses = losses + self.objective(score_y.given(x_t), y, t, eps_y)
        self.bins["train"].add(sde.fraction(t), losses, weight)
        return (weight.flatten().to(losses) * losses).mean()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a loss whose partners the model makes itself."""
