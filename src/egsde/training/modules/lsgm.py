"""Training an autoencoder and the diffusion prior of its latents together (LSGM, Vahdat 2021).

    -log p(x) <= E_q(z|x) [-log N(x; decode(z), std^2)] - H(q(z|x)) + CE(q(z|x) || p(z))

per pixel, CE by `objectives.CrossEntropy`. One draw of the time serves both: the prior's network
minimises the error of the noise under a weighting of its own, and what flows back into z_t is
brought to the likelihood's, as two passes of the paper's algorithm 2 would have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from egsde.networks.lsgm import LSGM
from egsde.scores.mixed import MixedScore
from egsde.scores.predictions import EpsPrediction, Prediction
from egsde.sde import SDE
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.objectives import CrossEntropy, Times, UniformTimes, likelihood
from egsde.training.objectives.denoising import Weighting


class LSGMModule(TimedModule):
    """Trains an LSGM on the batch's "image".

    weighting: of the prior's own objective. std: of a pixel given its latent. kl: the weight of
    CE - H. train_vae: whether the autoencoder learns, too. ValueError for a std that is not
    positive and for a process without an integral over time.
    """

    own_latents = True

    def __init__(
        self,
        network: LSGM,
        sde: SDE,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        prediction: Prediction = EpsPrediction(),  # noqa: B008 (frozen)
        ema_decay: float = 0.999,
        times: Times = UniformTimes(),  # noqa: B008 (frozen)
        weighting: Weighting = likelihood,
        std: float = 0.1,
        kl: float = 1.0,
        train_vae: bool = True,
    ) -> None:
        if not std > 0:
            raise ValueError(f"std={std} is no standard deviation of a pixel; use 0.1")
        network.vae.requires_grad_(train_vae)
        super().__init__(network, optimizer, schedule, ema_decay)
        self.score = MixedScore(network.prior, sde, prediction)
        self.entropy = CrossEntropy(sde)
        self.times, self.weighting, self.std, self.kl = times, weighting, std, kl

    @property
    def averaged(self) -> MixedScore:
        """The score of latents with the averaged weights."""
        return self.with_averaged_net(self.score, "prior")

    def parts(self, net: LSGM, score: MixedScore, x: Tensor) -> dict[str, Tensor]:
        """Per image, nats, (B,): distance - entropy + cross is the bound; prior is what the
        prior's network minimises, with the gradient of cross towards the latents."""
        mean, log_variance = net.vae.moments(x)
        z = mean + (0.5 * log_variance).exp() * self.draws.normal(mean)
        away = (x - net.vae.decoder(z)) / self.std
        distance = 0.5 * away.square() + math.log(self.std) + 0.5 * math.log(2 * math.pi)
        entropy = 0.5 * (1 + math.log(2 * math.pi) + log_variance)
        t, weight = self.times(score.sde, self.draws.uniform(z))
        eps = self.draws.normal(z)
        z_t = score.sde.perturb(z, t, eps)
        true, own = (
            self.entropy.rate(t, weight, each).to(z) for each in (likelihood, self.weighting)
        )
        if z_t.requires_grad:
            z_t.register_hook(lambda grad: grad * (true / own)[:, None, None, None])
        errors = self.entropy.errors(score, z_t, t, eps).to(z)
        constant = self.entropy.constant(z).to(z)
        return {
            "distance": distance.flatten(1).sum(1),
            "entropy": entropy.flatten(1).sum(1),
            "cross": constant + true * errors.detach(),
            "prior": constant + own * errors,
            "error": errors.detach() / z[0].numel(),
            "time": score.sde.fraction(t).flatten(),
        }

    def loss(self, net: LSGM, score: MixedScore, x: Tensor, stage: str) -> tuple[Tensor, Tensor]:
        """What is minimised, and the bound in nats per pixel and channel, means over the batch."""
        part = self.parts(net, score, x)
        latent = part["prior"] - part["entropy"]
        total = (part["distance"] + self.kl * latent).mean() / x[0].numel()
        bound = (part["distance"] - part["entropy"] + part["cross"]).detach().mean()
        self.bins[stage].add(part["time"], part["error"])
        for name in ("distance", "entropy", "cross"):
            value = part[name].detach().mean() / x[0].numel()
            means = self.means if stage == "train" else self.measured
            means.add(f"{stage}/{name}", value, len(x))
        return total, bound / x[0].numel()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        net: Any = self.network
        loss, bound = self.loss(net, self.score, batch["image"], "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        self.means.add("train/loss", bound, len(batch["image"]))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        net: Any = self.ema.net
        bound = self.loss(net, self.averaged, batch["image"], "val")[1]
        self.measured.add("val/loss", bound, len(batch["image"]))

    @torch.no_grad()
    def bound(self, x: Tensor) -> Tensor:
        """An estimate of the bound on -log p(x) in nats, (B,), with the averaged weights."""
        net: Any = self.ema.net
        part = self.parts(net, self.averaged, x)
        return part["distance"] - part["entropy"] + part["cross"]

    binned = "error"  # of the noise, per latent value
