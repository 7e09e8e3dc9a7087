"""Distribution matching with the GUIDED score: a student takes the guided law, without pairs.

    y = G(x),    y_t = alpha y + sigma eps,    x_t = alpha x + sigma eps'
    the student leaves along  w (s_fake(y_t) - [s(y_t) - grad E(y_t, x_t, t)])

s_fake is a score of the student's own translations, trained on them beside it, `updates` steps for
one of the student's; w makes the mean residual of the guided score's clean image 1 (Yin 2024, DMD2,
arXiv 2405.14867, without the adversary; there the score has no guide). At t = 0 the fixed point is
the minimum of KL(law of G || p) + mean of E.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.methods.student import Student
from egsde.methods.teacher import Teacher
from egsde.noise import Noise
from egsde.scores import FlowMap, ScoreModel
from egsde.source import Source
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.modules.student import start_from
from egsde.training.objectives import Objective, Simple, Times, UniformTimes
from egsde.training.ranks import from_first, mean_of_all


class DistributionMatchingModule(TimedModule):
    """Trains `flow.net` on the batch's "image", sources (B, C, H, W), through `evaluations` maps.

    fake: a score model of the student's translations. guided: the score (y, t, source) -> like y
    that the student is to follow, energies and all; by default that of the teacher, as whose
    score of the target the student then starts. updates: steps of the fake score for one of the
    student's. times: levels at which both are compared. ValueError for updates < 1, and without a
    score to follow.
    """

    def __init__(
        self,
        flow: FlowMap,
        fake: ScoreModel,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.9993,
        teacher: Teacher | None = None,
        guided: Any = None,
        loss: Objective = Simple(),  # noqa: B008 (frozen)
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
        updates: int = 5,
        evaluations: int = 2,
    ) -> None:
        if updates < 1:
            raise ValueError(f"the fake score learns at least once a step, got updates={updates}")
        if guided is None and teacher is None:
            raise ValueError(
                "distribution matching follows a guided score: give teacher= or guided="
            )
        if teacher is not None:
            guided = guided or getattr(teacher.translator, "target", teacher.translator).score
            if teacher.score is not None:
                start_from(flow.net, teacher.score)
        networks = nn.ModuleDict({"student": flow.net, "fake": fake.net})
        super().__init__(networks, optimizer, schedule, ema_decay)
        self.flow, self.fake, self.guided, self.teacher = flow, fake, guided, teacher
        self.objective, self.times = loss, times
        self.updates, self.evaluations = updates, evaluations

    @property
    def averaged(self) -> FlowMap:
        """The student with the averaged weights."""
        return self.with_averaged_net(self.flow, "student")

    def exported(self, network: nn.Module) -> nn.Module:
        """What of the networks goes into the file: the student, which translates alone."""
        return network.get_submodule("student")

    def on_fit_start(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.teacher is not None:
            self.teacher.to(self.device)
            x = data.translations("val")[0]["x0"][None].to(self.device)
            self.flow.times = self.teacher.walk(x, ["first"], 0)[1]
        self.recorded = {"times": self.flow.times, "skip": self.flow.skip}

    def translated(self, flow: FlowMap, x: Tensor, eps: Tensor) -> Tensor:
        """The student's end of each source, with gradients."""
        times = Student(flow, self.evaluations).times.to(x.device)
        y = flow.sde.perturb(x, times[0], eps)
        for t, s in pairwise(times):
            y = flow(y, t, s, x)
        return y

    def losses(self, x: Tensor, ids: list[str]) -> tuple[Tensor, Tensor | None]:
        """The fake score's loss on the student's translations, (B,), and the student's where it is
        its turn."""
        turn = self.draw % self.updates == 0
        with torch.set_grad_enabled(turn):
            y = self.translated(self.flow, x, self.draws.normal(x))
        t, weight = self.times(self.fake.sde, self.draws.uniform(x))
        fake = self.objective(self.fake, y.detach(), t, self.draws.normal(x))
        self.bins["train"].add(self.fake.sde.fraction(t), fake, weight)
        fake = weight.flatten().to(fake) * fake
        if not turn:
            return fake, None
        # Energies are asked at one time: that of the batch's first image, on all processes
        step = self.pull(y.detach(), x, from_first(t.flatten()[0].cpu()), ids)
        return fake, (step * y).flatten(1).mean(1)

    @torch.no_grad()
    def pull(self, y: Tensor, x: Tensor, t: Tensor, ids: list[str]) -> Tensor:
        """w (D_fake - D_guided) at y_t, like y: what the student should take away."""
        sde = self.fake.sde
        noise = Noise(self.seed, ids).child(f"{self.draw}/matching")
        source = Source(x, sde, noise)
        y_t = sde.perturb(y, t, noise.stream("student")(y))
        source.begin(0, t)
        wanted = sde.denoised(y_t, t, self.guided(y_t, t, source))
        found = sde.denoised(y_t, t, self.fake.score(y_t, t))
        size = mean_of_all((wanted - y).abs().mean())
        return ((found - wanted) / size.clamp(min=1e-6)).to(y.dtype)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        fake, student = self.losses(batch["x"], batch["id"])
        total = fake.mean() if student is None else fake.mean() + student.mean()
        self.log("loss", fake.mean(), prog_bar=True, logger=False)
        return total

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The previews tell more than the loss of a score that follows the student."""
