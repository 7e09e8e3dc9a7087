"""Trained networks against the smallest loss there is: Gaussian points and a mixture of two.

The exact score has a positive denoising loss, the Bayes loss. Both losses are taken at the same
points, times and noises, so that they are compared to a fraction of a percent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.data.toy import MODES, SPREAD, WEIGHTS, modes
from egsde.networks import MLP
from egsde.scores import ScoreModel
from egsde.scores.predictions import (
    EDMPrediction,
    EpsPrediction,
    Prediction,
    ScorePrediction,
    VPrediction,
    X0Prediction,
)
from egsde.sde import DDPM, NCSN, SDE, VE, VP, CosineVP, SubVP
from egsde.sde import EDM as EDMProcess
from egsde.training.objectives import (
    DenoisingScoreMatching,
    Importance,
    LogNormal,
    Simple,
    SlicedScoreMatching,
    UniformTimes,
    likelihood,
)
from problems import Gaussian
from shared import shared_path

PROCESSES = {
    "vp": VP(),
    "subvp": SubVP(),
    "ve": VE(),
    "cosine_vp": CosineVP(),
    "edm": EDMProcess(),
    "ddpm": DDPM(),
    "ncsn": NCSN(),
}
PREDICTIONS = {
    "eps": EpsPrediction(),
    "x0": X0Prediction(),
    "v": VPrediction(),
    "score": ScorePrediction(),
    "edm": EDMPrediction(),
}


@dataclass(frozen=True)
class Exact:
    """A score function in place of a trained model."""

    sde: SDE
    score: Callable[..., Tensor]

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.score(x, t)


@dataclass(frozen=True)
class Modes:
    """The mixture `modes` of the toy data."""

    def draw(self, count: int, seed: int) -> Tensor:
        points = modes(np.random.default_rng(seed), count)
        return torch.from_numpy(points).float()[:, :, None, None]

    def score(self, sde: SDE) -> Callable[..., Tensor]:
        centres = torch.tensor(MODES, dtype=torch.float64)

        def score(x: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = sde.alpha(t).reshape(-1, 1, 1), sde.sigma(t).reshape(-1, 1, 1)
            variance = (alpha * SPREAD).square() + sigma.square()
            offset = x.flatten(1)[:, None] - alpha * centres  # (B, 2 modes, 2)
            parts = torch.tensor(WEIGHTS).log() - 0.5 * offset.square().sum(2) / variance[..., 0]
            share = parts.softmax(1)[..., None]
            return -(share * offset / variance).sum(1)[:, :, None, None]

        return score


@dataclass(frozen=True)
class Normal:
    """N(0, 1/4) in both coordinates."""

    def draw(self, count: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return 0.5 * torch.randn(count, 2, 1, 1, generator=generator)

    def score(self, sde: SDE) -> Callable[..., Tensor]:
        return Gaussian(0.0, 0.25).score(sde)


def training(sde: SDE, prediction: Prediction, data, loss, times=None, steps: int = 200):
    """An MLP trained for a second or two."""
    torch.manual_seed(0)
    net, draw_times = MLP(width=48, depth=2), times or UniformTimes()
    score = ScoreModel(net, sde, prediction)
    optimizer = torch.optim.Adam(net.parameters(), lr=6e-3, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, steps, pct_start=0.1)
    for step in range(steps):
        x0 = data.draw(256, seed=step + 1)
        t, weight = draw_times(sde, torch.rand(256, 1, 1, 1, dtype=torch.float64))
        mean = (weight.flatten() * loss(score, x0, t, torch.randn_like(x0))).mean()
        optimizer.zero_grad()
        mean.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return score


def both_losses(score: ScoreModel, data, weighting=None, count: int = 16384):
    """Denoising losses (count,) of the model and of the exact score, evenly over all times."""
    generator = torch.Generator().manual_seed(9)
    u = (torch.randperm(count, generator=generator).double() + 0.5) / count
    t = score.sde.training_time(u[:, None, None, None])
    x0 = data.draw(count, seed=0)
    eps = torch.randn(x0.shape, generator=generator)
    loss = DenoisingScoreMatching(weighting) if weighting else DenoisingScoreMatching()
    exact = Exact(score.sde, data.score(score.sde))
    with torch.no_grad():
        ours = loss(score, x0, t, eps).double()
        return ours, loss(exact, x0.double(), t, eps.double())


def check(ours: Tensor, best: Tensor, above: float = 0.05) -> None:
    """Within `above` of the Bayes loss, and below it by chance only."""
    noise = float((ours - best).std()) / len(ours) ** 0.5
    assert best.mean() - 4 * noise < ours.mean() < (1 + above) * best.mean()


@pytest.mark.parametrize(("name", "sde"), [("vp", VP()), ("subvp", SubVP()), ("ve50", VE())])
def test_the_exact_score_has_the_recorded_bayes_loss(name: str, sde: SDE) -> None:
    recorded = np.load(shared_path("oracles/bayes_dsm.npz"))
    u = (torch.arange(40000, dtype=torch.float64) + 0.5) / 40000
    t = (1e-5 + (1 - 1e-5) * u)[:, None, None, None].repeat(4, 1, 1, 1)
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64)
    x0, eps = (s.reshape(4, 1, 1, 1) for s in torch.meshgrid(sign, sign, indexing="ij"))
    eps = eps.repeat_interleave(40000, 0)  # signs integrate squares of linear functions exactly
    for variance, expected in zip(recorded["s2"], recorded[name], strict=True):
        data = variance**0.5 * x0.repeat_interleave(40000, 0)
        exact = Exact(sde, Gaussian(0.0, float(variance)).score(sde))
        loss = DenoisingScoreMatching()(exact, data, t, eps).mean()
        assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def x0_error(sde: SDE, t: Tensor) -> Tensor:
    """The weighting of the squared error of x_0."""
    return (sde.sigma(t).square() / sde.alpha(t)).square()


FAST = {("ve", "edm")}
GRID = [
    pytest.param(s, p, marks=[] if (s, p) in FAST else pytest.mark.slow)
    for s in PROCESSES
    for p in PREDICTIONS
]


@pytest.mark.parametrize(("sde", "prediction"), GRID)
def test_every_prediction_on_every_process_learns_a_gaussian(sde: str, prediction: str) -> None:
    loss = DenoisingScoreMatching() if prediction == "score" else Simple()
    score = training(PROCESSES[sde], PREDICTIONS[prediction], Normal(), loss)
    # An error of x_0 counts alpha / sigma times in the score, without bound at small sigma.
    check(*both_losses(score, Normal(), x0_error if prediction == "x0" else None))


@pytest.mark.parametrize(
    ("sde", "prediction"),
    [
        pytest.param(s, p, marks=[] if (s, p) == ("vp", "eps") else pytest.mark.slow)
        for s in PROCESSES
        for p in PREDICTIONS
        if p != "x0"
    ],
)
def test_every_process_learns_two_modes(sde: str, prediction: str) -> None:
    loss = DenoisingScoreMatching() if prediction == "score" else Simple()
    score = training(PROCESSES[sde], PREDICTIONS[prediction], Modes(), loss, steps=500)
    check(*both_losses(score, Modes()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "times"),
    [
        (DenoisingScoreMatching(likelihood), Importance()),
        (Simple(), LogNormal()),
        (SlicedScoreMatching(), UniformTimes()),
        (SlicedScoreMatching(reduced=False, draws=4), UniformTimes()),
    ],
    ids=["likelihood", "log_normal", "sliced", "sliced_unreduced"],
)
def test_every_loss_learns_the_same_score(loss, times) -> None:
    score = training(VP(), EDMPrediction(), Normal(), loss, times, steps=500)
    check(*both_losses(score, Normal()))
