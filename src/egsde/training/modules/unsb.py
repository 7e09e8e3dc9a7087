"""The unpaired neural Schroedinger bridge (UNSB, Kim 2024, arXiv 2305.15086): a GAN at every step.

Between the source x at T and the target at 0 lies the Brownian bridge of variance v. With x_t the
chain that the generator itself has walked from x and y' = G(x_t, z, t), each step minimises

    game(y', y) + weight ( mean (x_t - y')^2  -  2 sigma(t)^2 H(x_t, y') / d ),

d the numbers of an image and sigma(t)^2 the variance still to come (eq. 12). H is the entropy of
the pair u = (x_t, y'), its mutual information with itself, which a critic bounds from below. The
paper's bound is that of Donsker and Varadhan, and both it and the information of numbers with
themselves are infinite; here a pair is told from a blurred copy of itself, by InfoNCE (van den
Oord 2018), which K others bound by log(K + 1):

    H >= E [ C(u, u + r n) - log 1/(K + 1) ( e^C(u, u + r n) + sum_k e^C(u, u_k) ) ].

The step down is the posterior q(x_s | x_t, y'), that of every bridge here. Between N(0, s1^2) and
N(0, s2^2) the ends' covariance is (sqrt(v^2 + 4 s1^2 s2^2) - v) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.methods import bridge
from egsde.noise import Noise
from egsde.sampling.sampler import Sampler
from egsde.scores.latent import LatentScore
from egsde.training.adversarial import Game, LeastSquares, ZeroCentred
from egsde.training.modules.adversarial import held
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.ranks import rows_of_all


def entropy(same: Tensor, others: Tensor) -> Tensor:
    """The critic's bound, 0-d, from C(u, u + r n) (B,) and C(u, u') (K, B); at most log(K + 1)."""
    logits = torch.cat([same[None], others]).float()
    return math.log(len(logits)) + (logits[0] - logits.logsumexp(0)).mean()


def transport(x_t: Tensor, made: Tensor, left: Tensor, entropy: Tensor) -> Tensor:
    """What the bridge costs beside the game, 0-d; left: the variance still to come, sigma(t)^2."""
    return (x_t - made).square().mean() - 2 * left * entropy / made[0].numel()


class UNSBModule(TimedModule):
    """Trains on the batch's unpaired "x" and "y" (data.view=both).

    judge: (image, label) -> logits. critic: (two pairs as channels, label) -> logits. sampler: the
    chain, a step for each generator's task. All of a batch are at the same step. others: K, fewer
    in smaller batches; blur: r. ValueError for batches of one image, which have no other.
    """

    def __init__(
        self,
        score: LatentScore,
        judge: nn.Module,
        critic: nn.Module,
        sampler: Sampler,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        game: Game = LeastSquares(),  # noqa: B008 (frozen)
        weight: float = 1.0,
        penalty: ZeroCentred | None = None,
        others: int = 3,
        blur: float = 0.1,
    ) -> None:
        networks = nn.ModuleDict({"generator": score.net, "judge": judge, "critic": critic})
        super().__init__(networks, optimizer, schedule, ema_decay)
        self.score, self.sampler, self.game = score, sampler, game
        self.weight, self.penalty, self.others, self.blur = weight, penalty, others, blur

    @property
    def averaged(self) -> LatentScore:
        """The generator as a score, averaged."""
        return self.with_averaged_net(self.score, "generator")

    def walked(self, x: Tensor, ids: list[str]) -> tuple[Tensor, Tensor]:
        """t, 0-d, and x_t of a step drawn for the whole batch, from x by the chain's own steps."""
        chain = bridge(self.score, self.sampler)
        step = int(torch.randint(chain.steps, (), generator=self.common))
        noise = Noise(self.seed, ids).child(f"{self.draw}/chain")
        _, t, x_t = next(islice(chain.trajectory(x, noise), step, None))
        return t, x_t

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        x, y = batch["x"], batch["y"]
        judge, critic = (self.network[name] for name in ("judge", "critic"))  # type: ignore[index]
        t, x_t = self.walked(x, batch["id"])
        sde = self.score.sde
        label = sde.network_time(t).flatten().to(x).expand(len(x))
        made = self.score.guess(x_t, t, self.draws.normal(self.score.latent(x)))

        def bound(pair: Tensor) -> Tensor:
            every, own = rows_of_all(pair)
            if len(every) < 2:
                raise ValueError("the entropy needs another image: use data.batch_size=2 or more")
            count = min(self.others, len(every) - 1)
            blurred = pair + self.blur * self.draws.normal(pair)
            seconds = [blurred, *(every.roll(k, 0)[own] for k in range(1, count + 1))]
            asked = torch.cat([torch.cat([pair, second.detach()], 1) for second in seconds])
            logits = (
                critic(asked, label.repeat(count + 1)).reshape(count + 1, len(pair), -1).mean(2)
            )
            return entropy(logits[0], logits[1:])

        with held(judge), held(critic):
            fooled = self.game.fool(judge(made, label), lambda: judge(y, label))
            left = sde.sigma(t).square().to(x)
            bent = transport(x_t, made, left, bound(torch.cat([x_t, made], 1)))
        apart = made.detach()
        judged = self.game.judge(judge(y, label), judge(apart, label))
        if self.penalty is not None and self.penalty.due(self.draw):
            judged = judged + self.penalty(lambda image: judge(image, label), y, apart)
        found = bound(torch.cat([x_t, apart], 1))
        total = fooled + self.weight * bent + judged - found
        self.log("total", total, prog_bar=True, logger=False)
        told = {"fool": fooled, "judge": judged, "bridge": bent, "entropy": found, "total": total}
        for name, value in told.items():
            self.means.add(f"train/{name}", value, len(x))
        return total

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The pictures tell more than a game's losses."""
