"""Training a codec: reconstruct images through latents near N(0, 1) or through codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.networks.autoencoder import Autoencoder
from egsde.training.adversarial import Game, Hinge
from egsde.training.modules.adversarial import held
from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.perceptual import ClassifierDistance, Perceptual


class AutoencoderModule(TimedModule):
    """Minimise mean |x - decode(z)| + kl KL(q(z | x) || N(0, 1)), per pixel and per latent (Rombach
    2022); with codes the second term is |h - sg(e)|^2 commitment + |sg(h) - e|^2 (van den Oord
    2017), and the gradient passes straight through.

    likeness, perceptual: a distance that a network sees, by this weight; extractor: the same of a
    domain classifier. discriminator: judges images against reconstructions from step `start` on;
    the autoencoder fools it by `adversarial` lambda, lambda = |d distance / d w| / |d game / d w|
    at the decoder's last weights w (VQGAN, Esser 2021, eq. 7). After each validation `scale` of the
    averaged network is 1 / std(z) on its images.
    """

    own_latents = True

    def __init__(
        self,
        network: Autoencoder,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.999,
        kl: float = 1e-4,
        commitment: float = 0.25,
        extractor: Any = None,
        perceptual: float = 1.0,
        likeness: Perceptual | None = None,
        discriminator: nn.Module | None = None,
        adversarial: float = 0.5,
        start: int = 1000,
        game: Game = Hinge(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(network, optimizer, schedule, ema_decay)
        self.kl, self.commitment, self.perceptual = kl, commitment, perceptual
        own = [] if extractor is None else [ClassifierDistance(extractor)]
        self.judges = [*own, *([] if likeness is None else [likeness])]  # not in the checkpoint
        self.discriminator, self.game = discriminator, game
        self.adversarial, self.start = adversarial, start
        self.spread: list[Tensor] = []

    @property
    def averaged(self) -> Autoencoder:
        return self.ema.net  # type: ignore[return-value]

    def loss(self, net: Autoencoder, x: Tensor, stage: str) -> Tensor:
        """The mean over the batch, and its parts to the log."""
        mean, log_variance = net.moments(x)
        if net.codes is None:
            z = mean + (0.5 * log_variance).exp() * self.draws.normal(mean)
            beside = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
            beside, y = self.kl * beside, net.decoder(z)
        else:
            code = net.nearest(mean)
            beside = self.commitment * (mean - code.detach()).square().mean()
            beside = beside + (mean.detach() - code).square().mean()
            y = net.decoder(mean + (code - mean).detach())
        far = (x - y).abs().mean()
        seen = far
        for judge in self.judges if self.perceptual else ():
            seen = seen + self.perceptual * judge.distance(y, x).mean()
        loss = seen + beside
        if stage == "train" and self.discriminator is not None and self.global_step >= self.start:
            loss = loss + self.contest(net, x, y, seen)
        means = self.means if stage == "train" else self.measured
        means.add(f"{stage}/distance", far, len(x))
        return loss

    def contest(self, net: Autoencoder, x: Tensor, y: Tensor, seen: Tensor) -> Tensor:
        """Both sides' losses; seen: the distance that the game's weight is measured by."""
        judge: Any = self.discriminator
        with held(judge):
            fooled = self.game.fool(judge(y), lambda: judge(x))
        last: Any = net.decoder[-1].weight
        sizes = [
            torch.autograd.grad(value, last, retain_graph=True)[0].norm()
            for value in (seen, fooled)
        ]
        weight = (sizes[0] / (sizes[1] + 1e-4)).clamp(max=1e4).detach()
        judged = self.game.judge(judge(x), judge(y.detach()))
        self.means.add("train/judge", judged, len(x))
        self.means.add("train/game_weight", weight, len(x))
        return self.adversarial * weight * fooled + judged

    def learned(self) -> Iterable[Tensor]:
        """The network, and its judge."""
        judge = [] if self.discriminator is None else self.discriminator.parameters()
        return chain(super().learned(), judge)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss = self.loss(self.network, batch["image"], "train")  # type: ignore[arg-type]
        self.log("loss", loss, prog_bar=True, logger=False)
        self.means.add("train/loss", loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        x = batch["image"]
        loss = self.loss(self.averaged, x, "val")
        self.spread.append(self.averaged.moments(x)[0].double().square().mean((1, 2, 3)).cpu())
        self.measured.add("val/loss", loss, len(x))

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        squares = torch.cat(self.spread)
        self.spread.clear()
        sums = torch.tensor([float(squares.sum()), len(squares)], device=self.device)
        total, count = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        nets: tuple[Any, Any] = self.averaged, self.network
        for net in nets:
            net.scale.fill_((count / max(total, 1e-12)) ** 0.5)
