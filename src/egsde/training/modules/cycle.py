"""The unpaired cycle model: two conditional scores learn from each other's samples.

x~ is a sample of s_x given y and y~ of s_y given x. With D(s | c, z) the denoising loss of s given
c on the clean image z, one t and one eps for all terms,

    D(s_x | y~, x) + D(s_y | x~, y) + w (D(s_x | y, x~) + D(s_y | x, y~))
        + cycle (||x_r - x||^2 + ||y_r - y||^2) / d,    x_r sampled given y~, y_r given x~

(Unpaired-via-SDE, eq. 3.5, has w = 1, cycle = 10 and differentiates through all four samplers). The
first two have real targets; the terms of weight w teach the model its own samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.noise import Noise
from egsde.scores.conditional import ConditionalScore
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.objectives import Objective, Simple, Times, UniformTimes
from egsde.training.partners import InLoop, Partners

OTHER = {"x": "y", "y": "x"}


class CycleModule(TimedModule):
    """Trains both networks on the batch's unpaired "x" and "y" (data.view=both).

    partners: where x~ and y~ come from; one that is not there yet leaves its terms out.
    reconstruct: samples x_r and y_r, where cycle > 0. teacher: the averaged networks make the
    partners. ValueError where cycle > 0 has no sampler with gradients, or one has them for nothing.
    """

    def __init__(
        self,
        score_x: ConditionalScore,
        score_y: ConditionalScore,
        partners: Partners,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        loss: Objective = Simple(),  # noqa: B008 (frozen)
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
        self_training: float = 0.0,
        cycle: float = 0.0,
        reconstruct: InLoop | None = None,
        teacher: bool = True,
    ) -> None:
        networks = nn.ModuleDict({"x": score_x.net, "y": score_y.net})
        super().__init__(networks, optimizer, schedule, ema_decay)
        mode = None if reconstruct is None else reconstruct.mode
        flows = mode is not None and getattr(mode, "flows", True)
        if cycle and not flows:
            raise ValueError(
                f"cycle={cycle} needs a reconstruct that gradients flow through, got {mode}: use "
                "gradient=checkpointed, square_root, adjoint, truncated or full, or module.cycle=0"
            )
        if not cycle and flows and getattr(partners, "are_data", False):
            raise ValueError(
                f"gradient {mode} would have no effect: kept partners are data and module.cycle=0; "
                "use gradient=detached, or module.cycle=10, or partners=in_loop"
            )
        self.scores = {"x": score_x, "y": score_y}
        self.partners, self.reconstruct = partners, reconstruct
        self.objective, self.times = loss, times
        self.self_training, self.cycle, self.teacher = self_training, cycle, teacher

    def averaged_score(self, direction: str) -> ConditionalScore:
        """The score that makes that domain, with the averaged weights."""
        return self.with_averaged_net(self.scores[direction], direction)

    @property
    def averaged(self) -> ConditionalScore:
        """The score of the target given the source, averaged."""
        return self.averaged_score("y")

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        images, ids = {"x": batch["x"], "y": batch["y"]}, {"x": batch["id"], "y": batch["id_y"]}
        made = {d: self.made(d, images[other], ids[other]) for d, other in OTHER.items()}
        u = self.draws.uniform(batch["x"])
        t, weight = self.times(self.scores["x"].sde, u)
        eps, weight = self.draws.normal(batch["x"]), weight.flatten().to(batch["x"])
        total = torch.zeros((), device=self.device)
        for d, other in OTHER.items():
            score: Any = self.scores[d]
            partner, own = made[other], made[d]
            if partner is not None:
                losses = self.objective(score.given(partner), images[d], t, eps)
                self.bins["train"].add(score.sde.fraction(t), losses, weight)
                total = total + (weight * losses).mean()
            if own is not None and self.self_training:
                losses = self.objective(score.given(images[other]), own, t, eps)
                total = total + self.self_training * (weight * losses).mean()
            if partner is not None and self.cycle:
                total = total + self.cycle * self.round_trip(d, partner, images[d], ids[d])
        self.log("total", total, prog_bar=True, logger=False)
        self.means.add("train/total", total, len(batch["x"]))
        return total

    def made(self, d: str, conditions: Tensor, ids: list[str]) -> Tensor | None:
        """Images of domain d as partners of the other domain's."""
        score = self.averaged_score(d) if self.teacher else self.scores[d]
        return self.partners(d, score, conditions, ids, self.noise(d, ids))

    def round_trip(self, d: str, partner: Tensor, image: Tensor, ids: list[str]) -> Tensor:
        """||image sampled again from its partner - image||^2 / d, mean over the batch."""
        assert self.reconstruct is not None
        noise = self.noise(f"{d}/again", ids)
        again = self.reconstruct(d, self.scores[d], partner, ids, noise)
        distance = (again - image).square().mean()
        self.means.add(f"train/cycle_{d}", distance, len(image))
        return distance

    def noise(self, key: str, ids: list[str]) -> Noise:
        """This batch's noise: a resumed run draws what an uninterrupted one draws."""
        return Noise(self.seed, ids).child(f"{self.draw}/{key}")

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a loss whose conditions the model makes itself."""
