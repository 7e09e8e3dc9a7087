"""Predictions: target and score are inverse to each other; inputs have unit size; EDM's table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from egsde.networks import MLP, ADMUNet
from egsde.scores import ScoreModel
from egsde.scores.predictions import (
    EDMPrediction,
    EpsPrediction,
    LogSigma,
    NetworkTime,
    ScorePrediction,
    VPrediction,
    X0Prediction,
)
from egsde.sde import DDPM, NCSN, VE, VP, CosineVP, SubVP
from egsde.sde import EDM as EDMProcess

PROCESSES = [VP(), SubVP(), VE(), CosineVP(), EDMProcess(), DDPM(), NCSN()]
PREDICTIONS = [
    EpsPrediction(),
    X0Prediction(),
    VPrediction(),
    ScorePrediction(),
    EDMPrediction(),
    EDMPrediction(sigma_data=1.3),
]


def state(sde):
    """x0, eps, x, alpha, sigma at 50 training times, float64."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 50, 3, 2, 2, generator=generator, dtype=torch.float64)
    u = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)[:, None, None, None]
    t = sde.training_time(u)
    return x0, eps, sde.perturb(x0, t, eps), sde.alpha(t), sde.sigma(t)


@pytest.mark.parametrize("sde", PROCESSES, ids=repr)
@pytest.mark.parametrize("prediction", PREDICTIONS, ids=lambda p: type(p).__name__)
def test_the_target_is_the_score_of_the_noise(prediction, sde):
    x0, eps, x, alpha, sigma = state(sde)
    target = prediction.target(x0, eps, alpha, sigma)
    score = prediction.score(target, x, alpha, sigma)
    error = sigma * score + eps  # of eps; X0 subtracts numbers 1 / sigma as large
    assert error.abs().max() < 1e-12 * (alpha / sigma + 1).max()


@pytest.mark.parametrize("sde", PROCESSES, ids=repr)
def test_inputs_and_edm_targets_have_unit_size(sde):
    """Second moments of the scaled input and EDM's target are 1 for data N(0, sigma_data^2)."""
    _, _, _, alpha, sigma = state(sde)
    for prediction, data in (
        (EpsPrediction(), 1.0),
        (VPrediction(), 1.0),
        (EDMPrediction(), 0.5),
        (EDMPrediction(sigma_data=2), 2.0),
    ):
        moment = (alpha * data).square() + sigma.square()
        assert torch.allclose(prediction.scale(alpha, sigma).square() * moment, alpha / alpha)
    one = torch.ones_like(alpha)
    zero = torch.zeros_like(alpha)
    from_x0 = EDMPrediction().target(0.5 * one, zero, alpha, sigma)
    from_eps = EDMPrediction().target(zero, one, alpha, sigma)
    assert torch.allclose(from_x0.square() + from_eps.square(), one)


def test_edm_is_table_1_of_karras():
    sigma = torch.tensor([0.002, 0.1, 0.5, 3.0, 80.0], dtype=torch.float64)[:, None, None, None]
    x, output = torch.randn(2, 5, 3, 2, 2, dtype=torch.float64)
    edm, data = EDMPrediction(), 0.5
    skip = data**2 / (sigma**2 + data**2)
    out = sigma * data / (sigma**2 + data**2).sqrt()
    denoised = skip * x + out * output
    score = edm.score(output, x, torch.ones_like(sigma), sigma)
    assert torch.allclose(x + sigma**2 * score, denoised, rtol=1e-12, atol=1e-12)
    assert torch.allclose(edm.scale(sigma / sigma, sigma), (sigma**2 + data**2).rsqrt())
    assert torch.allclose(edm.label(EDMProcess(), sigma), sigma.log() / 4)
    eps = torch.randn_like(x)
    target = edm.target(x, eps, sigma / sigma, sigma)
    weighted = (target - output) * out  # the loss of the denoiser, lambda = 1 / c_out^2
    assert torch.allclose(weighted, x - (skip * (x + sigma * eps) + out * output))


@pytest.mark.parametrize("sde", PROCESSES, ids=repr)
def test_v_is_edm_for_unit_data_with_the_other_sign(sde):
    x0, eps, x, alpha, sigma = state(sde)
    v, edm = VPrediction(), EDMPrediction(sigma_data=1)
    assert torch.allclose(v.target(x0, eps, alpha, sigma), -edm.target(x0, eps, alpha, sigma))
    assert torch.allclose(v.score(eps, x, alpha, sigma), edm.score(-eps, x, alpha, sigma))


@pytest.mark.parametrize("sigma_data", [0.0, -1.0])
def test_edm_refuses_data_without_spread(sigma_data):
    with pytest.raises(ValueError, match="sigma_data > 0"):
        EDMPrediction(sigma_data=sigma_data)


class Recorder(nn.Module):
    """Returns the negative of its input and keeps what it was given."""

    def forward(self, x, t):
        self.given = x, t
        return -x


@pytest.mark.parametrize("sde", [VP(), CosineVP(), DDPM()], ids=repr)
@pytest.mark.parametrize(
    "prediction",
    [EpsPrediction(), X0Prediction(), VPrediction(), ScorePrediction()],
    ids=lambda p: type(p).__name__,
)
def test_variance_preserving_networks_see_x_itself(sde, prediction):
    """Bitwise in float32: published networks give what they gave."""
    net = Recorder()
    model = ScoreModel(net, sde, prediction)
    x = torch.randn(1000, 3, 2, 2)
    times = sde.training_time(torch.linspace(0.001, 0.999, 1000, dtype=torch.float64))
    model.output(x, times[:, None, None, None])
    assert torch.equal(net.given[0], x)
    for t in times[::100]:
        model.output(x, t)
        assert torch.equal(net.given[0], x)
        assert torch.equal(net.given[1], sde.network_time(t).float().expand(1000))


def test_raw_input_and_labels():
    net, x, t = Recorder(), torch.randn(4, 3, 2, 2), torch.tensor(0.7, dtype=torch.float64)
    sigma = VE().sigma(t)
    ScoreModel(net, VE(), EpsPrediction(raw_input=True, label=LogSigma())).output(x, t)
    assert torch.equal(net.given[0], x) and torch.allclose(net.given[1], sigma.log().float())
    ScoreModel(net, VE()).output(x, t)
    assert torch.allclose(net.given[0], x / (1 + sigma**2).sqrt().float())
    assert torch.equal(net.given[1], NetworkTime()(VE(), t).float().expand(4))
    level = torch.tensor(0.5, dtype=torch.float64)
    assert LogSigma()(VP(), level) == pytest.approx(
        float((VP().sigma(level) / VP().alpha(level)).log())
    )


def test_eps_is_ncsnpp_output_divided_by_sigma():
    """score = -net / sigma: NCSN++'s scale_by_sigma up to the sign of the last layer."""
    small = {"num_channels": 32, "channel_mult": [1], "attention_resolutions": None,
             "num_head_channels": 32}  # fmt: skip
    net, sde = ADMUNet(8, **small, fourier_scale=16.0), VE()
    nn.init.normal_(net.out[-1].weight, std=0.1)
    model = ScoreModel(net, sde, EpsPrediction(raw_input=True, label=LogSigma()))
    x, t = torch.randn(2, 3, 8, 8), torch.tensor(0.3, dtype=torch.float64)
    sigma = sde.sigma(t)
    raw = net(x, sigma.log().float().expand(2))
    assert raw.abs().max() > 0.1 and torch.equal(model(x, t), -raw / sigma)


def test_fourier_features_tell_levels_apart_and_leave_other_networks_alone():
    small = {"num_channels": 32, "channel_mult": [1], "attention_resolutions": None,
             "num_head_channels": 32}  # fmt: skip
    plain, fourier = ADMUNet(8, **small), ADMUNet(8, **small, fourier_scale=16)
    assert set(fourier.state_dict()) - set(plain.state_dict()) == {"fourier.weight"}
    labels = torch.linspace(-4.6, 4, 400)
    waves = fourier.fourier(labels)  # squares of sin and cos of one angle sum to 1
    assert torch.allclose(waves.square().sum(1), torch.full((400,), 16.0), atol=1e-4)
    nearest = torch.cdist(waves, waves).fill_diagonal_(torch.inf).min(1).values
    assert nearest.min() > 0.5
    mlp = MLP(3, width=32, learn_sigma=True, fourier_scale=1.0)
    assert mlp(torch.randn(5, 3, 1, 1), labels[:5]).shape == (5, 6, 1, 1)
    assert "fourier.weight" in mlp.state_dict() and "fourier.weight" not in MLP().state_dict()
