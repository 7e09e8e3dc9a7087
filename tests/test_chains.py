"""Chains of levels against the official tables; scores of networks on every process."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egsde import sde as sdes
from egsde.networks import read_weights
from egsde.scores import ScoreModel
from egsde.scores.predictions import EpsPrediction, VPrediction, X0Prediction
from egsde.sde import (
    DDPM,
    EDM,
    NCSN,
    VE,
    VP,
    CosineVP,
    SubVP,
    cosine_betas,
    geometric_sigmas,
    jsd_betas,
    linear_betas,
    quad_betas,
    warmup_betas,
)
from problems import Pointwise, f64
from shared import shared_path

TIMES = torch.tensor([0.001, 0.013, 0.2, 0.5, 0.873, 1.0], dtype=torch.float64)
SDES = [VP(), SubVP(), VE(), CosineVP(), EDM(), DDPM(), DDPM(cosine_betas(400)), NCSN()]


@pytest.mark.parametrize("name", ["linear", "quad", "const", "jsd", "sigmoid"])
def test_betas_equal_official(name):
    betas = read_weights(shared_path("fixtures/schedules.safetensors"))[f"betas_{name}"]
    assert torch.allclose(getattr(sdes, f"{name}_betas")(), betas, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "betas"),
    [
        ("palette_train", linear_betas(2000, 1e-6, 0.01)),
        ("palette_test", linear_betas(1000, 1e-4, 0.09)),
        ("cosine1000", cosine_betas()),
        ("quad1000", quad_betas()),
        ("warmup10", warmup_betas()),
    ],
)
def test_betas_and_what_is_left_of_the_image_equal_the_recorded(name, betas):
    recorded = np.load(shared_path("oracles/schedules.npz"))
    assert np.allclose(betas.numpy(), recorded[f"{name}_betas"], rtol=0, atol=1e-13)
    left = DDPM(betas).alpha(f64(1.0)).square()
    assert float(left) == pytest.approx(float(recorded[f"{name}_gamma_last"]), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_few_large_steps_of_the_vp_process_are_those_of_denoising_gans(steps):
    recorded = np.load(shared_path("oracles/schedules.npz"))
    t = 1e-3 + (1 - 1e-3) * torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    betas = VP().transition(t[:-1], t[1:])[1].square()
    assert np.allclose(betas.numpy(), recorded[f"ddgan{steps}_betas"][1:], rtol=2e-6)
    chain = DDPM(betas)
    s, t = (torch.arange(steps, dtype=torch.float64) + k for k in (0, 1))
    s, t = s / steps, t / steps
    a, std = chain.transition(s, t)
    share = (std / chain.sigma(t)).square()
    coefficients = {
        "coef1": chain.alpha(s) * share,
        "coef2": a * (chain.sigma(s) / chain.sigma(t)).square(),
        "var": share * chain.sigma(s).square(),
    }
    for name, value in coefficients.items():
        assert np.allclose(value.numpy(), recorded[f"ddgan{steps}_{name}"], atol=2e-6)


def test_chain_kernels_equal_official():
    official = read_weights(shared_path("fixtures/schedules.safetensors"))
    sde, levels = DDPM(), torch.arange(1001, dtype=torch.float64)
    s, t = levels[:-1] / 1000, levels[1:] / 1000
    a, std = sde.transition(s, t)
    betas = official["betas_linear"]
    assert torch.allclose(std.square(), betas, rtol=1e-11)
    assert torch.allclose(a.square(), 1 - betas, rtol=1e-11)
    posterior = (std * sde.sigma(s) / sde.sigma(t)).square()
    clean = torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)])
    assert torch.allclose(posterior, betas * (1 - clean[:-1]) / (1 - clean[1:]), rtol=1e-9)
    # the recording is float32: 1 - 0.9999 is off by 1e-8 there
    assert (posterior - official["logvar_fixedsmall"].exp()).abs().max() < 2e-8
    # alphas_cumprod is a float32 product of 1000 factors there
    assert (sde.alpha(t).square() - official["alphas_cumprod_f32"]).abs().max() < 1e-5


def test_chain_has_the_drift_of_the_process_it_samples():
    chain, vp = DDPM(), VP(beta_min=0.1, beta_max=20.0)
    assert (chain.diffusion(TIMES) - vp.diffusion(TIMES)).abs().max() < 0.04  # O(1 / levels)
    coarse = DDPM(linear_betas(250, 4e-4, 0.08))
    errors = [(c.alpha(f64(0.5)) - vp.alpha(f64(0.5))).abs() for c in (chain, coarse)]
    assert errors[0] < 0.3 * errors[1]


def test_level_zero_is_clean_and_every_level_is_trained():
    sde = DDPM(linear_betas(10))
    assert sde.alpha(f64(0.0)) == 1 and sde.sigma(f64(0.0)) == 0
    t = sde.training_time(torch.linspace(0, 0.9999, 1000, dtype=torch.float64))
    assert torch.equal(sde.level(t).bincount(), torch.tensor([0] + [100] * 10))
    assert torch.equal(sde.network_time(t).unique(), torch.arange(10, dtype=torch.float64))
    assert sde.snap(f64(0.47)) == 0.5
    assert DDPM(jsd_betas()).alpha(f64(1.0)) == 0


@pytest.mark.parametrize("sde", [DDPM(), NCSN(), DDPM(linear_betas(10))], ids=repr)
def test_a_time_between_two_levels_is_no_time_of_a_chain(sde):
    between = torch.linspace(0, 1, sde.levels + 1, dtype=torch.float64)[3] + 0.4 / sde.levels
    for asked in (sde.sigma, sde.diffusion, sde.level):
        with pytest.raises(ValueError, match="lies between two levels of .*sde=vp"):
            asked(between)
        asked(sde.snap(between))
        asked(sde.snap(between).float())  # rounding of single precision is no other time


def test_ncsn_levels_of_the_first_paper():
    sde = NCSN(geometric_sigmas(10, 0.01, 1.0))
    level = torch.arange(11, dtype=torch.float64) / 10
    assert sde.sigma(level)[0] == 0 and sde.sigma(level)[-1] == pytest.approx(1.0)
    ratio = sde.sigma(level)[2:] / sde.sigma(level)[1:-1]
    assert torch.allclose(ratio, ratio[0].expand(9), rtol=1e-12)
    assert torch.equal(sde.network_time(level[1:]), torch.arange(10, dtype=torch.float64))


def test_many_geometric_levels_are_ve():
    errors = []
    for levels in (200, 400):
        chain, t = NCSN(geometric_sigmas(levels)), torch.tensor([0.25, 0.5, 0.9]).double()
        errors.append((chain.diffusion(t) / VE().diffusion(t) - 1).abs().max())
    assert errors[1] < 0.55 * errors[0] < 0.03  # O(1 / levels)


@pytest.mark.parametrize("prediction", [EpsPrediction(), X0Prediction(), VPrediction()], ids=repr)
@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_every_prediction_gives_the_score_of_its_target(prediction, sde):
    x0, eps = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64)
    t = sde.snap(sde.T * (torch.rand(5, 1, 1, 1, dtype=torch.float64) * 0.8 + 0.1))
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    output = prediction.target(x0, eps, alpha, sigma)
    score = prediction.score(output, sde.perturb(x0, t, eps), alpha, sigma)
    assert torch.allclose(score, -eps / sigma, rtol=1e-9)


def test_score_model_takes_every_kind_of_time():
    sde = DDPM()
    model = ScoreModel(Pointwise(), sde)
    x = torch.randn(3, 6, 4, 4)
    alone = model(x, f64(0.3))
    each = model(x, torch.full((3, 1, 1, 1), 0.3))
    assert alone.dtype == each.dtype == torch.float32
    assert torch.allclose(alone, each, rtol=1e-5)
    assert torch.allclose(alone, -torch.sin(3 * x + 299) / sde.sigma(f64(0.3)).float(), rtol=1e-5)
    assert model.calls == 2


def test_learned_variance_channels_are_dropped():
    class Six(Pointwise):
        def forward(self, x, t):
            return torch.cat([super().forward(x, t), x * torch.nan], 1)

    x = torch.randn(2, 3, 4, 4)
    six, three = ScoreModel(Six(), VP()), ScoreModel(Pointwise(), VP())
    assert torch.equal(six(x, f64(0.3)), three(x, f64(0.3)))
