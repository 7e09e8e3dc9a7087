"""Training times: their densities, their weights, and what a resumed run remembers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from egsde.scores import ScoreModel
from egsde.scores.predictions import EpsPrediction
from egsde.sde import DDPM, NCSN, VE, VP, CosineVP, SubVP
from egsde.sde import EDM as EDMProcess
from egsde.training.modules import ScoreModule
from egsde.training.objectives import Importance, LogNormal, LossSecondMoment, UniformTimes
from small_scores import Net


def grid(count: int = 200000) -> Tensor:
    return (torch.arange(count, dtype=torch.float64)[:, None, None, None] + 0.5) / count


CHAINS = [DDPM(), NCSN()]
SDES = [VP(), SubVP(), VE(), CosineVP(), EDMProcess(), *CHAINS]


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_importance_weights_leave_averages_as_they_are(sde):
    for function in (lambda t: torch.ones_like(t), lambda t: t / sde.T, sde.sigma):
        t, weight = Importance()(sde, grid())
        plain = function(UniformTimes()(sde, grid())[0]).mean()
        assert float((weight * function(t)).mean()) == pytest.approx(float(plain), rel=2e-3)


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_uniform_until_keeps_the_lowest_share_of_the_times(sde):
    few, every = UniformTimes(until=0.3)(sde, grid(1000))[0], UniformTimes()(sde, grid(1000))[0]
    lowest = every.flatten().sort().values[:300]
    assert torch.allclose(few.flatten().sort().values[::10], lowest[::3], rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("until", [0, -1, 1.5])
def test_uniform_refuses_what_is_no_share(until):
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        UniformTimes(until)


@pytest.mark.parametrize("sde", [VP(), VE()], ids=repr)
def test_importance_is_uniform_in_log_snr(sde):
    """VP in closed form: sigma^2 / alpha^2 = exp(B) - 1 with B the integral of beta."""
    u = grid(1000)
    t, weight = Importance()(sde, u)
    ends = torch.tensor([sde.t_train, sde.T], dtype=torch.float64)
    low, high = (sde.sigma(ends).log() - sde.alpha(ends).log()).tolist()
    ratio = (2 * (low + (high - low) * u)).exp()
    closed = {
        "VP": (torch.sqrt(0.01 + 2 * 19.9 * torch.log1p(ratio)) - 0.1) / 19.9,
        "VE": 0.5 * (ratio.log() - 2 * math.log(0.01)) / math.log(5000),
    }[type(sde).__name__]
    assert torch.allclose(t, closed, rtol=0.01, atol=2e-7)
    levelled = weight * (sde.diffusion(t) / sde.sigma(t)).square()
    assert float(levelled.std() / levelled.mean()) < 0.01  # what the weighting leaves of its spread


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_log_normal_times(sde):
    t, weight = LogNormal(-0.5, 0.7)(sde, grid(20000))
    log_noise = sde.sigma(t).log() - sde.alpha(t).log()
    assert float(log_noise.mean()) == pytest.approx(-0.5, abs=0.01)
    assert float(log_noise.std()) == pytest.approx(0.7, rel=0.02)
    assert torch.equal(t, sde.snap(t)) and bool((weight == 1).all())
    assert float(t.max()) <= sde.T and float(t.min()) >= min(sde.t_train, sde.t_noisy)


def test_edms_own_times_are_log_normal():
    ours, own = LogNormal()(EDMProcess(), grid(999))[0], UniformTimes()(EDMProcess(), grid(999))[0]
    middle = slice(50, -50)  # EDM's own are clamped, not cut, at 0.002
    assert torch.allclose(ours[middle], own[middle], rtol=1e-3)


def test_loss_second_moment_follows_the_losses_and_stays_unbiased():
    times, sde, generator = LossSecondMoment(10, memory=4), VP(), torch.Generator().manual_seed(0)
    t, weight = times(sde, grid(1000))
    assert torch.allclose(t, sde.training_time(grid(1000))) and torch.allclose(weight, t / t)
    for _ in range(60):
        u = torch.rand(16, 1, 1, 1, generator=generator, dtype=torch.float64)
        t, _ = times(sde, u)
        times.observe(u, (1 + 9 * (t > 0.5)).flatten().float())
    mass = times.mass()
    assert torch.allclose(
        mass[5:] / mass[:5], torch.full((5,), 10.0, dtype=torch.float64), rtol=0.02
    )
    t, weight = times(sde, grid())
    for function in (torch.ones_like, lambda t: t, sde.sigma):
        plain = function(sde.training_time(grid())).mean()
        assert float((weight * function(t)).mean()) == pytest.approx(float(plain), rel=1e-3)
    copy = LossSecondMoment(10, memory=4)
    copy.load_state_dict(times.state_dict())  # a resumed run draws the same times
    assert torch.equal(copy(sde, grid(100))[0], times(sde, grid(100))[0])
    with pytest.raises(ValueError, match="floor"):
        LossSecondMoment(floor=0)


def test_a_module_weights_its_losses_and_its_bins():
    """Whatever the times, val/loss estimates the same average."""
    means = []
    for times in (UniformTimes(), Importance()):
        model = ScoreModel(Net(), VP(), EpsPrediction())
        module = ScoreModule(model, torch.optim.SGD, lambda step, total: 1.0, times=times)
        torch.manual_seed(0)
        x0 = 0.5 * torch.randn(20000, 2, 1, 1, dtype=torch.float64)
        loss = module.loss(module.averaged, x0, "val").item()
        binned = module.bins["val"].pop("loss")
        assert binned["loss"] == pytest.approx(loss, rel=0.05)
        means.append(loss)
    assert means[0] == pytest.approx(means[1], rel=0.05)
