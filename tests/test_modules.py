"""Training modules against closed forms: averages, schedules, time bins, Bayes losses."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from egsde.scores import Extractor, ScoreModel
from egsde.scores.predictions import EpsPrediction, Prediction, VPrediction, X0Prediction
from egsde.sde import DDPM, SDE, VP
from egsde.training.cutmix import cutmix
from egsde.training.draws import Unkeyed
from egsde.training.ema import EMA
from egsde.training.modules import Constant, Cosine, DomainClassifierModule, Linear, ScoreModule
from egsde.training.modules.bins import TimeBins
from shared import shared_path


def test_ema_is_the_weighted_sum_of_its_warm_up() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 0.0)
    ema, expected = EMA(net, decay=0.5), 0.0
    for n in range(20):
        value = math.sin(n)
        nn.init.constant_(net.weight, value)
        ema.update(net)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert float(ema.net.weight) == pytest.approx(expected, abs=1e-6)
    assert set(ema.state_dict()) == {"net.weight", "updates"}
    assert not ema.train().net.training and not ema.net.weight.requires_grad


def test_learning_rate_factors() -> None:
    assert [Constant(4)(s, 100) for s in (0, 1, 3, 50)] == [0.25, 0.5, 1, 1]
    cosine = Cosine(warmup=10, floor=0.1)
    assert cosine(10, 110) == pytest.approx(1)
    assert cosine(60, 110) == pytest.approx(0.55)
    assert cosine(110, 110) == pytest.approx(0.1)
    assert [Linear()(s, 10) for s in (0, 5, 10)] == [1, 0.5, 0]


def test_time_bins_average_where_the_times_fall() -> None:
    bins = TimeBins(2)
    bins.add(torch.tensor([0.1, 0.2, 0.9, 1.0]), torch.tensor([1.0, 2.0, 3.0, 5.0]))
    assert bins.pop("loss") == {"loss": 2.75, "loss/t0.0-0.5": 1.5, "loss/t0.5-1.0": 4.0}
    assert bins.pop("loss") == {}


class Pointwise(nn.Module):
    """A network for white Gaussian data: every pixel alone, with the time beside it."""

    def __init__(self, width: int = 64, out: int = 1) -> None:
        super().__init__()
        layers = [nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, out))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        u = (t / 999)[:, None, None, None].expand_as(x)
        waves = [torch.sin(u * k) for k in (1, 3, 9)]
        return self.layers(torch.stack([x, u, *waves, x * u], -1)).squeeze(-1)


class Data(torch.utils.data.IterableDataset):
    """Endless batches of N(0, s^2) images."""

    def __init__(self, s: float) -> None:
        self.s = s

    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(1)
        while True:
            yield {"image": self.s * torch.randn(256, 1, 4, 4, generator=generator)}


def trained(module: Any, data: Any, steps: int, **options: Any) -> Any:
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        **options,
    )
    trainer.fit(module, DataLoader(data, batch_size=None))
    return module


def bayes_loss(sde: SDE, prediction: Prediction, s: float) -> float:
    """E Var(target | x_t) per pixel, over the training times."""
    t = sde.training_time(torch.linspace(0, 1, 20001, dtype=torch.float64)[:-1])
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    x0_variance = (s * sigma).square() / ((alpha * s).square() + sigma.square())
    scale = {
        EpsPrediction: alpha / sigma,
        X0Prediction: torch.ones_like(t),
        VPrediction: (alpha**2 + sigma**2) / sigma,
    }
    return float((scale[type(prediction)].square() * x0_variance).mean())


def test_bayes_losses_are_the_recorded_ones() -> None:
    recorded = np.load(shared_path("oracles/bayes_dsm.npz"))
    assert bayes_loss(VP(), EpsPrediction(), 0.5) == pytest.approx(0.17331, rel=1e-3), (
        recorded.files
    )


@pytest.mark.parametrize(
    ("sde", "prediction"),
    [
        pytest.param(sde, prediction, marks=marks)
        for sde, prediction, marks in [
            (VP(), VPrediction(), pytest.mark.slow),
            (DDPM(), EpsPrediction(), pytest.mark.slow),
            (VP(), EpsPrediction(), pytest.mark.slow),
            (VP(), X0Prediction(), pytest.mark.slow),
            (DDPM(), X0Prediction(), pytest.mark.slow),
            (DDPM(), VPrediction(), pytest.mark.slow),
        ]
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_trained_score_reaches_the_bayes_loss(sde: SDE, prediction: Prediction) -> None:
    torch.manual_seed(0)
    score = ScoreModel(Pointwise(), sde, prediction)
    optimizer = partial(torch.optim.Adam, lr=5e-3)
    module = trained(ScoreModule(score, optimizer, Cosine(20), ema_decay=0.98), Data(0.5), 250)
    torch.manual_seed(7)
    with torch.no_grad():
        losses = [float(module.loss(module.averaged, 0.5 * torch.randn(4096, 1, 4, 4), "val"))
                  for _ in range(8)]  # fmt: skip
    best = bayes_loss(sde, prediction, 0.5)
    assert 0.98 * best < np.mean(losses) < 1.05 * best


class Mean(nn.Module):
    """A classifier of the mean grey value, with features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.head(x.mean((1, 2, 3))[:, None])


class TwoGreys(torch.utils.data.IterableDataset):
    """Images of constant grey -0.5 (label 0) and 0.5 (label 1)."""

    def __iter__(self) -> Any:
        label = torch.arange(64) % 2
        image = (label.float() - 0.5)[:, None, None, None].expand(64, 1, 4, 4)
        while True:
            yield {"image": image, "label": label}


def test_the_classifier_learns_and_its_largest_time_grows() -> None:
    torch.manual_seed(0)
    optimizer = partial(torch.optim.Adam, lr=0.1)
    extractor = Extractor(Mean(), DDPM())
    module = DomainClassifierModule(extractor, optimizer, Constant(), t_first=0.2, ramp=0.5)
    seen: list[float] = []
    largest = module.t_largest
    module.t_largest = lambda: seen.append(largest()) or seen[-1]  # type: ignore[method-assign]
    trained(module, TwoGreys(), 60)
    assert seen[0] == 0.2 and seen[15] == pytest.approx(0.6) and seen[-1] == 1
    module.t_last = 0.1  # past it at once
    assert largest() == 0.1
    batch = next(iter(TwoGreys()))
    module.loss(module.averaged, batch, 0.1, 1.0, "val")
    assert module.bins["val"].pop("val/accuracy")["val/accuracy"] > 0.99


def test_cutmix_takes_a_rectangle_of_the_same_domain() -> None:
    """Images of one value each, so that a pixel tells where it is from."""
    torch.manual_seed(0)
    label = torch.tensor([0] * 400 + [1] * 400)
    x = torch.arange(800.0)[:, None, None, None].expand(-1, 1, 16, 12).clone()
    y = cutmix(x, label, 0.5, Unkeyed())
    took = y != x
    assert (y[took] == (x - 1)[took]).all() and not took[[0, 400]].any()
    share = took.flatten(1).float().mean(1)
    assert abs((share > 0).float().mean() - 0.5) < 0.06
    assert share[share > 0].min() > 0.2 and share.max() < 0.82
    rows, columns = took[:, 0].any(2), took[:, 0].any(1)
    assert (took[:, 0] == rows[:, :, None] & columns[:, None]).all()  # rectangles ...
    assert ((rows[:, 1:] != rows[:, :-1]).sum(1) <= 2).all()  # ... without a gap
    assert took.any(0).all()  # anywhere
    assert torch.equal(cutmix(x, label, 0.0, Unkeyed()), x)


def test_every_batch_of_a_step_has_its_own_noise() -> None:
    drawn = []

    class Watched(ScoreModule):
        def loss(self, *args: Any) -> Tensor:
            drawn.append(float(torch.rand(())))
            return super().loss(*args)

    score = ScoreModel(Pointwise(), VP(), EpsPrediction())
    module = Watched(score, partial(torch.optim.Adam, lr=1e-3), Cosine(20), ema_decay=0.9)
    trained(module, Data(0.5), steps=3, accumulate_grad_batches=2)
    assert len(set(drawn)) == len(drawn) == 6
