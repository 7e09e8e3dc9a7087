"""The denoising diffusion GAN (Xiao 2022, arXiv 2112.07804): few steps, each of many modes.

With i uniform in 1 .. T, x_(i-1) ~ q(. | x_0), x_i ~ q(. | x_(i-1)), x_0' = G(x_i, z, i) and
x_(i-1)' ~ q(. | x_i, x_0'), the judge tells (x_(i-1), x_i) from (x_(i-1)', x_i), with R1 on the
real x_(i-1). Both sides learn in one step, as in `AdversarialModule`.

A judge of fine data must be steep where there is little noise: of N(c, s^2) its slope is about
1 / s. A penalty that weighs all levels alike forbids that, one in units of the noise does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.scores.latent import LatentScore
from egsde.training.adversarial import Game, NonSaturating, ZeroCentred
from egsde.training.modules.adversarial import held
from egsde.training.modules.base import Schedule, TimedModule


class DDGANModule(TimedModule):
    """Trains on the batch's "image" (data.view=target).

    judge: (cat(x_(i-1), x_i), label of i) -> logits. noise_units: the penalty is of the slope per
    sigma of x_i, not per unit. ValueError for a process without levels.
    """

    def __init__(
        self,
        score: LatentScore,
        judge: nn.Module,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        game: Game = NonSaturating(),  # noqa: B008 (frozen)
        penalty: ZeroCentred | None = None,
        noise_units: bool = False,
    ) -> None:
        if score.sde.levels is None:
            raise ValueError(
                f"a denoising diffusion GAN takes few levels of a chain, and {score.sde} is "
                "continuous; use sde._target_=egsde.sde.DDPM with egsde.sde.vp_betas"
            )
        networks = nn.ModuleDict({"generator": score.net, "judge": judge})
        super().__init__(networks, optimizer, schedule, ema_decay)
        self.score, self.game = score, game
        self.penalty, self.noise_units = penalty, noise_units

    @property
    def averaged(self) -> LatentScore:
        """The generator as a score, averaged."""
        return self.with_averaged_net(self.score, "generator")

    def pairs(self, x0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """t (B, 1, 1, 1), x_s and x_t, s one level below t."""
        sde = self.score.sde
        t = sde.training_time(self.draws.uniform(x0))
        s = sde.snap(t - 1 / sde.levels)  # type: ignore[operator]
        x_s = sde.perturb(x0, s, self.draws.normal(x0))
        a, std = sde.transition(s, t)
        return t, x_s, (a * x_s + std * self.draws.normal(x0)).to(x0.dtype)

    def posterior(self, x0: Tensor, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """A sample of q(x_s | x_t, x_0), x_0 itself where s is clean."""
        sde = self.score.sde
        s = sde.snap(t - 1 / sde.levels)  # type: ignore[operator]
        a, std = sde.transition(s, t)
        ratio = (sde.sigma(s) / sde.sigma(t)).square()
        mean = a * ratio * x_t + sde.alpha(s) * (std / sde.sigma(t)).square() * x0
        return (mean + std * ratio.sqrt() * noise).to(x0.dtype)

    def steepness(
        self, judge: Callable[[Tensor], Tensor], x_s: Tensor, made: Tensor, t: Tensor
    ) -> Tensor | float:
        """The penalty of a judge of x_s, 0 where none is due."""
        if self.penalty is None or not self.penalty.due(self.draw):
            return 0.0
        unit = self.score.sde.sigma(t).to(x_s) if self.noise_units else 1.0
        return self.penalty(lambda u: judge(unit * u), x_s / unit, made / unit)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x0 = batch["image"]
        judge = self.network["judge"]  # type: ignore[index]
        t, x_s, x_t = self.pairs(x0)
        label = self.score.sde.network_time(t).flatten().to(x0)
        z = self.draws.normal(self.score.latent(x0))
        made = self.posterior(self.score.guess(x_t, t, z), x_t, t, self.draws.normal(x0))

        def judge_of(image: Tensor) -> Tensor:
            return judge(torch.cat([image, x_t], 1), label)

        with held(judge):
            fooled = self.game.fool(judge_of(made), lambda: judge_of(x_s))
        judged = self.game.judge(judge_of(x_s), judge_of(made.detach()))
        judged = judged + self.steepness(judge_of, x_s, made, t)
        total = fooled + judged
        self.log("total", total, prog_bar=True, logger=False)
        for name, value in (("fool", fooled), ("judge", judged), ("total", total)):
            self.means.add(f"train/{name}", value, len(x0))
        return total

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a game's losses."""
