"""What every training module shares: keyed random numbers, optimiser, warm-up, averaged weights."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from egsde.training.ema import EMA
from egsde.training.modules.bins import TimeBins

Model = TypeVar("Model", bound=nn.Module)
Schedule = Callable[[int, int], float]  # (step, total steps) -> factor of the learning rate


def step_seed(*key: object) -> int:
    """A 63-bit seed for one training step: a resumed run draws what an uninterrupted one draws."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class TimedModule(LightningModule):
    """Trains one network that sees noised images, and logs by time bins.

    `network`: the module whose parameters are trained and averaged. `optimizer`: a partial that
    takes the parameters. `schedule`: (step, total) -> factor. `ema_decay`: see `EMA`. `bins`:
    number of equal time bins in [0, T] for the logs.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Schedule,
        ema_decay: float,
        bins: int = 10,
    ) -> None:
        super().__init__()
        self.network = network
        self.ema = EMA(network, ema_decay)
        self.make_optimizer, self.schedule = optimizer, schedule
        self.bins = {"train": TimeBins(bins), "val": TimeBins(bins)}
        self.seed = 0  # set by the entry point
        self.draw = 0  # counts what is drawn for: a batch, several of which may make one step

    def with_averaged_net(self, model: Model, part: str | None = None) -> Model:
        """A view of `model` whose `net` is the averaged network, or a part of it by name."""
        view = copy.copy(model)
        net = self.ema.net if part is None else self.ema.net.get_submodule(part)
        view._modules = {**model._modules, "net": net}
        return view

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.network.parameters())
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = LambdaLR(optimizer, lambda step: self.schedule(step, total))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step", "name": "train/lr"},
        }

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        together = self.trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        self.draw = self.global_step * together + batch_idx % together
        torch.manual_seed(step_seed(self.seed, "train", self.draw, self.global_rank))

    def on_validation_start(self) -> None:
        self._state = torch.get_rng_state()
        torch.manual_seed(step_seed(self.seed, "val", self.global_rank))

    def on_validation_end(self) -> None:
        torch.set_rng_state(self._state)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self.log("train/grad_norm", torch.nn.utils.get_total_norm(gradients))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.ema.update(self.network)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.global_step % every == 0:
            self.log_dict(self.bins["train"].pop("train/" + self.binned))

    def on_validation_epoch_end(self) -> None:
        bins = self.bins["val"]  # summed over ranks: which bins saw anything differs between them
        sums = torch.stack([bins.total, bins.seen]).to(self.device, torch.float32)
        bins.total, bins.seen = self.trainer.strategy.reduce(sums, reduce_op="sum").cpu().double()
        self.log_dict(bins.pop("val/" + self.binned), rank_zero_only=True)

    binned = "loss"  # what the bins hold
