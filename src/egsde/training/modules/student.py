"""Training a flow map on a teacher's walks: regression, since the teacher draws no noise.

    E || G(y_t, t, s, x) - y_s || / sqrt(d) + features E || f(G) - f(y_0) ||^2 / E || f(y_0) ||^2

(t, s) is the whole walk, M to 0, in a share of the draws, else one of its segments. The norm and
not its square, as in Luhman 2021's successors: large errors do not rule. f: features of the domain
classifier at the smallest noise, where s = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from egsde.methods.teacher import Teacher
from egsde.networks import check_fit, widened
from egsde.scores import Extractor
from egsde.scores.flow_map import FlowMap
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.ranks import mean_of_all


class StudentModule(TimedModule):
    """Trains `flow.net` on the batch's "x" (B, C, H, W) and "states" (B, segments + 1, C, H, W).

    teacher: the network starts as its score of the target where there is one; ValueError where that
    does not fit. features: weight of the distance in the extractor's features; 0 or no extractor:
    none. whole: share of the draws that map the whole walk at once.
    """

    def __init__(
        self,
        flow: FlowMap,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.9993,
        teacher: Teacher | None = None,
        extractor: Extractor | None = None,
        features: float = 0.3,
        whole: float = 0.5,
    ) -> None:
        if not 0 <= whole <= 1:
            raise ValueError(f"whole is a share of the draws, from 0 to 1, got {whole}")
        if teacher is not None and teacher.score is not None:
            start_from(flow.net, teacher.score)
        super().__init__(flow.net, optimizer, schedule, ema_decay)
        self.flow, self.whole, self.features = flow, whole, features
        self.extractor = extractor if features else None

    @property
    def averaged(self) -> FlowMap:
        """The flow map with the averaged weights."""
        return self.with_averaged_net(self.flow)

    def on_fit_start(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.learn(data.times)

    def learn(self, times: Iterable[float]) -> None:
        """The times of the states that batches hold."""
        self.flow.times = list(times)
        self.recorded = {"times": self.flow.times, "skip": self.flow.skip}

    def loss(self, flow: FlowMap, batch: dict[str, Any], stage: str) -> Tensor:
        """Mean over the batch; the per-image values go to the time bins."""
        x, states = batch["x"], batch["states"]
        times = torch.tensor(flow.times, dtype=torch.float64, device=x.device)
        first, last = self.segments(self.draws.uniform(x), states.shape[1] - 1)
        rows = torch.arange(len(x), device=x.device)
        t, s = (times[at].reshape(-1, 1, 1, 1) for at in (first, last))
        goal = states[rows, last]
        made = flow(states[rows, first], t, s, x)
        losses = _norm(made - goal)
        self.bins[stage].add(flow.sde.fraction(t), losses, torch.ones_like(losses))
        ends = last == states.shape[1] - 1
        if self.extractor is None or stage != "train":
            return losses.mean()
        return losses.mean() + self.features * self.distance(made[ends], goal[ends])

    def segments(self, u: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Which state a draw u in [0, 1) (B, 1, 1, 1) starts from, and which it ends at."""
        u = u.flatten()
        part = ((u - self.whole) / max(1 - self.whole, 1e-9) * count).long().clamp(0, count - 1)
        long = u < self.whole
        first = torch.where(long, torch.zeros_like(part), part)
        return first, torch.where(long, torch.full_like(part, count), part + 1)

    def distance(self, made: Tensor, goal: Tensor) -> Tensor:
        """|| f(made) - f(goal) ||^2 / || f(goal) ||^2, of all processes' images together; their
        mean over processes is what is descended. No images: 0."""
        extractor = self.extractor
        assert extractor is not None
        t = torch.tensor(extractor.sde.t_noisy, dtype=torch.float64)
        far, size = made.new_zeros(()), made.new_zeros(())
        if len(made):
            with torch.no_grad():
                wanted = extractor.features(goal, t)
            far = (extractor.features(made, t) - wanted).square().sum()
            size = wanted.square().sum()
        return far / mean_of_all(size).clamp(min=1e-12)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss = self.loss(self.flow, batch, "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Beside the loss, how far the end is from the teacher's in one evaluation and in more."""
        flow, x, states = self.averaged, batch["x"], batch["states"]
        self.loss(flow, batch, "val")
        times = torch.tensor(flow.times, dtype=torch.float64, device=x.device)
        y = states[:, 0]
        for t, s in pairwise(times):
            y = flow(y, t, s, x)
        once = flow(states[:, 0], times[0], times[-1], x)
        count = len(times) - 1
        found = {"val/evaluations_1": once, f"val/evaluations_{count}": y}
        for name, made in found.items():
            self.measured.add(name, _norm(made - states[:, -1]).mean(), len(x))


def _norm(difference: Tensor) -> Tensor:
    """Root mean square of each image, (B,)."""
    return difference.flatten(1).square().mean(1).clamp(min=1e-12).sqrt()


def start_from(network: torch.nn.Module, score: Any) -> None:
    """Begin as the teacher's score, blind to the source and to where the map ends."""
    state = widened(network, score.net.state_dict())
    check_fit(network.state_dict(), state, "the student's network, which starts as its teacher's")
    network.load_state_dict(state)
