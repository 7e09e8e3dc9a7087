"""Checkpoints that a crash cannot harm: written beside the target, flushed, renamed, looked at.

`last.ckpt` and the one before it, `previous.ckpt`, lie in a folder. Every file that has one of
these names is whole, and a save that failed is told and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
import torch.distributed as dist
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn

from egsde.disk import whole
from egsde.networks.files import check_tensors
from egsde.programs.callbacks.interrupts import Interrupts, Stopped
from egsde.programs.ended import Ended
from egsde.programs.messages import lost_worker
from egsde.training.finite import check_weights

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def read(path: Path) -> dict[str, Any]:
    """A checkpoint; ValueError for a file that is none or is damaged."""
    if path.suffix == ".safetensors":
        raise ValueError(_alone(path))
    try:
        if not is_zipfile(path) and path.exists():
            raise ValueError("it is cut short, or no checkpoint")
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = isinstance(saved, dict) and {"global_step", "state_dict", "loops"} <= saved.keys()
        step = saved["global_step"] if state else 0
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise ValueError(f"its step is {step!r}")
    except FileNotFoundError:
        raise
    except UnpicklingError as error:  # its words tell to switch the safety off
        raise ValueError(
            f"{path} is damaged, or holds Python objects, which could run code and are not opened"
        ) from error
    except Exception as error:  # reading raises whatever the bytes make it raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"{path} is damaged ({reason})") from error
    if not state:
        raise ValueError(_alone(path))
    check_tensors(path, saved)
    return saved


def _alone(path: Path) -> str:
    return (
        f"{path} holds no state of a training, which RUN/checkpoints/last.ckpt does; weights alone "
        f"begin a new one: init_weights={path}"
    )


class TwoFiles(TorchCheckpointIO):
    """Saves to a path and keeps what was there as `previous.ckpt`. `error`: why the last save
    failed, or None: one process writes, and all must hear of it. others: files of another training,
    over which this one begins: its first save removes them."""

    error: str | None = None

    def __init__(self, others: Sequence[Path] = ()) -> None:
        super().__init__()
        self.others = others

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """`error` where it failed; RuntimeError or ValueError where meanwhile a reader was lost."""
        path = Path(path)
        self.error = None
        try:
            with whole(path) as temporary:
                torch.save(checkpoint, temporary)
                if read(temporary)["global_step"] != checkpoint["global_step"]:
                    raise OSError("what was read back is of another step")
                for other in self.others:
                    if other != path and other.exists():
                        other.unlink()
                if path.exists() and path.name == LAST and not self.others:
                    path.replace(path.with_name(PREVIOUS))
            self.others = ()
        except (OSError, RuntimeError, ValueError) as error:
            if lost_worker(error) is not None:  # which has nothing to do with the file
                raise
            self.error = str(error) or type(error).__name__


class Checkpoints(Callback):
    """Saves every `every` steps, at the end, and when a signal asks to stop.

    A save lies between two whole steps, their logs and their validation: what goes on from it is
    the run that was not stopped. `Stopped` after the save that a signal asked for, on all
    processes at the same step. ValueError for `every` below 1.
    """

    saves = True  # which a switch of the Trainer turns off

    def __init__(self, dirpath: str | Path, every: int = 1000) -> None:
        if every < 1:
            raise ValueError(f"checkpoints are saved every so many steps, got every={every}")
        self.folder, self.every = Path(dirpath), every
        self.interrupts = Interrupts(self._until)
        self.saved: int | None = None  # the step of the last good save

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.begun, Ended.past = trainer.global_step, ()
        self.interrupts.begin(trainer)

    def on_exception(
        self, trainer: Trainer, module: LightningModule, exception: BaseException
    ) -> None:
        self.interrupts.end()

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step, together = trainer.global_step, trainer.accumulate_grad_batches
        if batch_idx % together:
            return
        signum = self._signal(trainer)
        if (step > self.begun and (signum or step % self.every == 0)) or (signum and step):
            self._save(trainer)
        if signum:
            raise Stopped(signum)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.interrupts.end()
        if not self._save(trainer):
            raise OSError(
                f"step {trainer.global_step} could not be saved to {self.folder}; "
                f"{self.standing()}. Make room there and give the command again"
            )

    def standing(self) -> str:
        """The state that the folder holds, in words."""
        return "no step is saved" if self.saved is None else f"step {self.saved} is the last saved"

    def _until(self, trainer: Trainer) -> str:
        if not trainer.validating:
            return "after this step, once it is saved"
        now = f"a second Ctrl-C stops at once, and {self.standing()}"
        return f"once the validation that runs has ended, and saves; {now}"

    def _signal(self, trainer: Trainer) -> int:
        """The signal that any of the processes got: they stop together."""
        received = self.interrupts.received
        if trainer.world_size == 1:
            return received
        found = torch.tensor(received, device=trainer.strategy.root_device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return int(found)

    def _save(self, trainer: Trainer) -> bool:
        step = trainer.global_step
        if step == self.saved:
            return True
        module: Any = trainer.lightning_module
        module.check_finite()
        check_weights(module.network, step)
        keep_rows(trainer)
        trainer.save_checkpoint(self.folder / LAST)
        files: Any = trainer.strategy.checkpoint_io
        error = trainer.strategy.broadcast(files.error)
        if error is None:
            self.saved, Ended.past = step, ("resume=",)  # what goes on does so from here
        else:
            rank_zero_warn(f"step {step} was not saved ({error}); {self.standing()}")
        return error is None


@rank_zero_only
def keep_rows(trainer: Trainer) -> None:
    """What was logged is on the disk before a checkpoint says that it is behind."""
    for logger in trainer.loggers:
        logger.save()
