"""The time-dependent domain classifier: minimise E CE(net(x_t, t), domain of x_0) (Zhao 2022).

Its middle features are EGSDE's domain-specific extractor. A classifier that sees all noise levels
from the start stays at chance for long, so the largest time grows over the first part of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from egsde.scores import Extractor
from egsde.training.cutmix import cutmix
from egsde.training.modules.base import Schedule, TimedModule


class DomainClassifierModule(TimedModule):
    """Trains `extractor.net` on the batch's "image" (B, C, H, W) and "label" (B,).

    `t_first`: largest time, as a fraction of T, at the first step. `ramp`: fraction of the steps
    over which it grows to `t_last`, the latest that is asked of it; never past that. t = largest
    u^power with u uniform: a power above 1 sees more of the low noise levels, where domains can be
    told apart. The official code has ramp 0, t_last 1 and power 1. `cutmix`: the share of training
    images that take a rectangle of another one of their domain.
    """

    binned = "accuracy"

    def __init__(
        self,
        extractor: Extractor,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float = 0.99,
        t_first: float = 0.15,
        ramp: float = 0.6,
        power: float = 3.0,
        t_last: float = 1.0,
        cutmix: float = 0.0,
    ) -> None:
        extractor.net.requires_grad_(True)
        super().__init__(extractor.net, optimizer, schedule, ema_decay)
        self.extractor = extractor
        self.t_first, self.ramp, self.power = t_first, ramp, power
        self.t_last, self.cutmix = t_last, cutmix

    @property
    def averaged(self) -> Extractor:
        """The extractor with the averaged weights."""
        return self.with_averaged_net(self.extractor)

    def on_fit_start(self) -> None:
        """ValueError where the network tells another number of domains than the data has."""
        domains = getattr(getattr(self.trainer, "datamodule", None), "names", None)
        classes = getattr(self.extractor.net, "num_classes", None)
        if domains and classes and classes != len(domains):
            raise ValueError(
                f"network.num_classes={classes}, but the data has {len(domains)} domains "
                f"({', '.join(domains)}); leave it out, or give network.num_classes={len(domains)}"
            )

    def t_largest(self) -> float:
        """The largest time now, as a fraction of T."""
        grows = self.ramp and self.length < float("inf")
        grown = min(1.0, self.global_step / max(self.length, 1) / self.ramp) if grows else 1.0
        return min(self.t_last, self.t_first + (self.t_last - self.t_first) * grown)

    def loss(
        self, model: Extractor, batch: dict[str, Any], largest: float, power: float, stage: str
    ) -> Tensor:
        """Cross-entropy (official run_train_dse.py); hits and misses go to the time bins."""
        x0, label = self.latent(batch["image"]), batch["label"]
        sde = model.sde
        u = self.draws.uniform(x0)
        t = sde.training_time(u**power * largest)
        logits = model(sde.perturb(x0, t, self.draws.normal(x0)), t)
        self.bins[stage].add(sde.fraction(t), (logits.argmax(1) == label).float())
        return nn.functional.cross_entropy(logits, label)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        if self.cutmix:
            image = cutmix(batch["image"], batch["label"], self.cutmix, self.draws)
            batch = {**batch, "image": image}
        loss = self.loss(self.extractor, batch, self.t_largest(), self.power, "train")
        self.log("loss", loss, prog_bar=True, logger=False)
        self.means.add("train/loss", loss, len(batch["image"]))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        loss = self.loss(self.averaged, batch, self.t_last, 1.0, "val")
        self.measured.add("val/loss", loss, len(batch["image"]))
