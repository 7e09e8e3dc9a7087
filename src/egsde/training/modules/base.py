"""What every training module shares: keyed random numbers, optimiser, warm-up, averaged weights."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from egsde.noise import keyed_generator
from egsde.training.draws import ById, ByPlace, Draws, Unkeyed, places
from egsde.training.ema import EMA
from egsde.training.finite import Finite
from egsde.training.modules.bins import Means, TimeBins
from egsde.training.standing import after
from egsde.training.step import go_on, made_of

Model = TypeVar("Model", bound=nn.Module)
Schedule = Callable[[int, float], float]  # (step, total steps) -> factor of the learning rate


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
        self.means = Means()  # of what else is logged while training
        self.measured = Means()  # and of what a validation measures, over the images of all ranks
        self.logged = 0  # the step of the last row
        self.begun = False  # a checkpoint, if there was one, is restored
        self.length_before: float | None = None  # of the schedule of a run that is resumed
        self.seed = 0  # set by the entry point
        self.config: dict[str, Any] = {}  # plain and resolved; set by the entry point
        self.recorded: dict[str, Any] = {}  # what its weights say beside that
        self.finite: Finite | None = None  # what is not yet known of the last step
        self.validated: dict[str, float] = {}  # what the last validation measured
        self.draw = 0  # counts what is drawn for: a batch, several of which may make one step
        self.draws: Draws = Unkeyed()  # of the batch at hand
        self.common: torch.Generator | None = None  # of what all images of a step share
        self.codec: Any = None  # in whose space the network is trained; set by the entry point

    def latent(self, images: Tensor) -> Tensor:
        """What the network learns of images: themselves, or the codec's latents."""
        if self.codec is None:
            return images
        with torch.no_grad():
            return self.codec.encode(images)

    def with_averaged_net(self, model: Model, part: str | None = None) -> Model:
        """A view of `model` whose `net` is the averaged network, or a part of it by name."""
        view = copy.copy(model)
        net = self.ema.net if part is None else self.ema.net.get_submodule(part)
        view._modules = {**model._modules, "net": net}
        return view

    def exported(self, network: nn.Module) -> nn.Module:
        """What of the networks, raw or averaged, goes into the weights file."""
        return network

    @property
    def length(self) -> float:
        """Steps of the whole training; infinite where only its time is limited."""
        return float(self.trainer.estimated_stepping_batches)

    def learned(self) -> Iterable[Tensor]:
        """What the optimiser moves."""
        return self.network.parameters()

    def configure_optimizers(self) -> Any:
        optimizer, length = self.make_optimizer(self.learned()), self.length
        scheduler = LambdaLR(optimizer, lambda step: self.schedule(step, length))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """A schedule of another length goes on as if it had had this one from the start."""
        step, before, self.begun = self.global_step, self.length_before, True
        self.logged = step
        for configured in self.trainer.lr_scheduler_configs:
            scheduler: Any = configured.scheduler
            factor, groups = self.schedule(step, self.length), scheduler.optimizer.param_groups
            for group, rate in zip(groups, scheduler.base_lrs, strict=True):
                group["lr"] = factor * rate
        now = self.length
        if (
            before is not None
            and before != now
            and any(
                self.schedule(at, before) != self.schedule(at, now)
                for at in (step, int(min(before, now)) - 1)
            )
        ):
            rank_zero_only(print)(
                f"the learning rate's schedule was made for {before:g} steps and now has "
                f"{self.length:g}: it goes on from step {step} as a run of that length would"
            )

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        together = self.trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        self.draw = self.global_step * together + batch_idx % together
        self.draws = ByPlace((self.seed, "train", self.draw), places(batch, self.global_rank))
        self.common = keyed_generator(self.seed, "train", self.draw)
        torch.manual_seed(step_seed(self.seed, "train", self.draw, self.global_rank))

    def on_validation_start(self) -> None:
        self._state = torch.get_rng_state()
        torch.manual_seed(step_seed(self.seed, "val", self.global_rank))

    def on_validation_batch_start(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.draws = ById(self.seed, batch["id"]) if "id" in batch else Unkeyed()

    def on_validation_end(self) -> None:
        torch.set_rng_state(self._state)
        found = self.trainer.callback_metrics
        self.validated = {k: float(v) for k, v in found.items() if k.startswith("val/")}

    def on_validation_batch_end(self, *_: Any) -> None:
        self.draws = Unkeyed()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {"config": self.config | self.recorded, "validated": self.validated}
        checkpoint |= {"bins": self.bins["train"].state(), "means": self.means.sums}
        checkpoint |= {"schedule_length": self.length, "step": made_of(self.trainer)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trainer: Any = self.trainer
        steps = checkpoint["global_step"]
        go_on(steps, checkpoint.get("step", {}), trainer)
        batches = steps * trainer.accumulate_grad_batches
        checkpoint["loops"] = after(steps, batches, trainer, checkpoint.get("loops"))
        self.validated = checkpoint.get("validated", {})
        self.length_before = checkpoint.get("schedule_length")
        every = trainer.log_every_n_steps
        if "bins" in checkpoint and every and steps % every:
            self.bins["train"].restore(checkpoint["bins"])
            self.means.sums = checkpoint.get("means", {})

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.trainer.precision != "16-mixed":  # which skips steps that overflow
            self.check_finite()
            self.finite = Finite(self.global_step, norm)
            if norm.device.type == "cpu":
                self.check_finite()
        self.log_dict({"train/grad_norm": norm, "train/lr": optimizer.param_groups[0]["lr"]})

    def check_finite(self) -> None:
        """ValueError where the last step's gradient was not finite: before a save and, so that no
        step waits for the device, a step later."""
        last, self.finite = self.finite, None
        if last is not None:
            last.check()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.ema.update(self.network)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.draws = Unkeyed()
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        # Several batches may make one step; the row is that of the step they have made.
        if every and self.global_step % every == 0 and self.global_step != self.logged:
            self.logged = self.global_step
            self._log_bins("train")
            self.log_dict(self.means.pop())

    def on_validation_epoch_end(self) -> None:
        self._log_bins("val")
        self.log_dict(self.measured.pop())

    def _log_bins(self, stage: str) -> None:
        bins = self.bins[stage]  # summed over ranks: which bins saw anything differs between them
        sums = torch.stack([bins.total, bins.seen]).to(self.device, torch.float32)
        bins.total, bins.seen = self.trainer.strategy.reduce(sums, reduce_op="sum").cpu().double()
        found = bins.pop(name := f"{stage}/{self.binned}")
        self.log_dict({name: found.pop(name)} if found else {}, sync_dist=True)
        if self.trainer.is_global_zero:  # by hand: Lightning repeats a bin that saw nothing since
            for logger in self.trainer.loggers:
                logger.log_metrics(found, step=max(self.global_step - 1, 0))

    binned = "loss"  # what the bins hold
