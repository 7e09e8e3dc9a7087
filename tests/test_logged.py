"""A row of the log stands for all images since the row before; a schedule knows its length."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import DataLoader

from egsde.training.modules.base import Schedule, TimedModule
from egsde.training.schedules import Cosine, HeldLinear, Linear
from runs import rows, trained

COSINE = Cosine()
NO_PREVIEWS = "translate=null"


class Weighed(TimedModule):
    """Its loss on a batch is the mean of the batch; its rate is noted before every step."""

    def __init__(self, schedule: Schedule = COSINE) -> None:
        make = partial(torch.optim.SGD, lr=1.0)
        super().__init__(nn.Linear(1, 1), make, schedule, ema_decay=0.9, bins=1)
        self.seen: list[dict[str, float]] = []
        self.rates: list[float] = []
        self.stop: int | None = None  # after so many steps

    def training_step(self, batch, batch_idx):
        self.bins["train"].add(torch.zeros(len(batch)), batch[:, 0])
        self.means.add("train/other", batch.mean(), len(batch))
        return 0 * self.network(batch).sum()

    def on_train_batch_start(self, batch, batch_idx) -> None:
        """Nothing is drawn."""

    def on_before_optimizer_step(self, optimizer) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.trainer.should_stop = len(self.rates) == self.stop

    def log_dict(self, values, **options) -> None:
        self.seen.append(dict(values))


def fitted(
    steps: int, folder, resume=None, batch=2, schedule: Schedule = COSINE, stop=None, **options
) -> Weighed:
    module, data = Weighed(schedule), torch.arange(24.0)[:, None]
    module.stop = stop
    trainer = Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(data, batch_size=batch), ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return module


@pytest.mark.parametrize(("together", "every"), [(1, 1), (1, 3), (2, 1), (3, 2), (2, 3)])
def test_a_row_is_of_all_images_since_the_last(together, every, tmp_path):
    module = fitted(12 // together, tmp_path, accumulate_grad_batches=together,
                    log_every_n_steps=every)  # fmt: skip
    images = 2 * together * every
    expected = [(k + 0.5) * images - 0.5 for k in range(24 // images)]
    assert [row["train/loss"] for row in module.seen if "train/loss" in row] == expected
    assert [row["train/other"] for row in module.seen if "train/other" in row] == expected


def test_a_row_after_a_stop_is_of_the_images_since_then(tmp_path):
    """What was seen between the last row and the stop is in the next one, and counted once."""
    first = fitted(7, tmp_path, log_every_n_steps=3)
    rest = fitted(12, tmp_path, resume=tmp_path / "last.ckpt", log_every_n_steps=3)
    seen = [row["train/loss"] for m in (first, rest) for row in m.seen if "train/loss" in row]
    after = (12.5 + 0.5 + 2.5) / 3  # the batch before the stop, and the first two after it
    assert seen == [2.5, 8.5, pytest.approx(after), 6.5]


@pytest.mark.parametrize("schedule", [Cosine(2, 0.1), Linear(), HeldLinear()], ids=repr)
@pytest.mark.parametrize("steps", [8, 18])
def test_a_schedule_of_another_length(schedule, steps, tmp_path, capsys):
    """Shortened or prolonged, of every shape: as if it had had that length from there on."""
    options = {"schedule": schedule}
    whole = fitted(steps, tmp_path / "whole", **options).rates
    halfway = fitted(12, tmp_path / "half", stop=6, **options)
    capsys.readouterr()
    rates = fitted(
        steps, tmp_path / "rest", resume=tmp_path / "half" / "last.ckpt", **options
    ).rates
    assert len(halfway.rates) == 6 and rates == whole[6:] and min(rates) > 0
    assert f"made for 12 steps and now has {steps}" in capsys.readouterr().out


def test_a_prolonged_schedule_goes_on_as_one_of_its_new_length(tmp_path, capsys):
    whole = fitted(12, tmp_path / "whole").rates
    assert not fitted(4, tmp_path / "part").length_before
    capsys.readouterr()
    rates = fitted(12, tmp_path / "rest", resume=tmp_path / "part" / "last.ckpt").rates
    assert rates == whole[4:] and min(rates) > 0
    assert "made for 4 steps and now has 12: it goes on from step 4" in capsys.readouterr().out
    fitted(12, tmp_path / "again", resume=tmp_path / "whole" / "last.ckpt")
    assert "schedule" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_prolonged_run_never_trains_at_rate_zero(tmp_path, capsys):
    options = ["module.schedule.warmup=1", NO_PREVIEWS, "trainer.val_check_interval=2"]
    trained(tmp_path, *options, "trainer.max_steps=2")
    trained(tmp_path, *options, "trainer.max_steps=4")
    assert "was made for 2 steps and now has 4" in capsys.readouterr().out
    assert all(row["train/lr"] > 0 for row in rows(tmp_path) if "train/lr" in row)


@pytest.mark.slow
def test_a_classifiers_loss_is_of_all_its_images(tmp_path):
    options = ["model=classifier", "network.channel_mult=[1,1]", "limit=8", "data.batch_size=2",
               "module.optimizer.lr=0", "data.flip=false", "trainer.max_steps=4",
               "trainer.val_check_interval=4"]  # fmt: skip
    drop = ("network", "translate", "sampler", "metrics")
    trained(tmp_path / "each", *options, "trainer.log_every_n_steps=1", drop=drop)
    trained(tmp_path / "all", *options, "trainer.log_every_n_steps=4", drop=drop)
    each = [row["train/loss"] for row in rows(tmp_path / "each") if "train/loss" in row]
    every = [row["train/loss"] for row in rows(tmp_path / "all") if "train/loss" in row]
    assert len(each) == 4 and every == [pytest.approx(sum(each) / 4)]
