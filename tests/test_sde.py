"""Forward processes: every closed form against the derived one, score_sde's numbers, identities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egsde.sde import (
    DDPM,
    EDM,
    NCSN,
    SDE,
    VE,
    VP,
    CosineVP,
    GeometricVP,
    SubVP,
    cosine_betas,
    geometric_sigmas,
    linear_betas,
)
from problems import f64
from shared import shared_path

CONTINUOUS = [VP(), VP(0.5, 7.0), SubVP(), VE(), VE(0.01, 348.0), CosineVP(), GeometricVP(), EDM()]
CHAINS = [DDPM(), DDPM(cosine_betas(400)), NCSN(), NCSN(geometric_sigmas(10, 0.01, 1.0))]
SHARES = torch.tensor([0.001, 0.013, 0.2, 0.5, 0.873, 1.0], dtype=torch.float64)


def times(sde: SDE) -> torch.Tensor:
    """Times over the whole process, a chain's snapped to its levels, none of them clean."""
    inside = sde.t_noisy + (sde.T - sde.t_noisy) * SHARES
    return sde.snap(inside)


@pytest.mark.parametrize("sde", CONTINUOUS, ids=repr)
def test_closed_forms_equal_the_derived_ones(sde):
    t = times(sde)
    assert torch.allclose(SDE.drift(sde, t), sde.drift(t), rtol=1e-11, atol=0)
    assert torch.allclose(SDE.diffusion(sde, t), sde.diffusion(t), rtol=1e-11, atol=0)
    # 1 - a^2 of a long kernel loses digits in the derived form, sub-VP's early ones most
    for s, e in ((t[1], t[2]), (t[2], t[3]), (t[3], t[5])):
        derived, closed = SDE.transition(sde, s, e), sde.transition(s, e)
        assert torch.allclose(torch.stack(closed), torch.stack(derived), rtol=1e-11, atol=0)


@pytest.mark.parametrize("sde", CONTINUOUS, ids=repr)
def test_variance_obeys_its_differential_equation(sde):
    """d sigma^2 / dt = 2 f sigma^2 + g^2, by central differences."""
    t = times(sde)[1:-1]
    h = 1e-5 * t
    growth = (sde.sigma(t + h).square() - sde.sigma(t - h).square()) / (2 * h)
    expected = 2 * sde.drift(t) * sde.sigma(t).square() + sde.diffusion(t).square()
    assert torch.allclose(growth, expected, rtol=1e-7)


@pytest.mark.parametrize("sde", CONTINUOUS + CHAINS, ids=repr)
def test_transitions_compose_to_the_marginal(sde):
    s, t = sde.snap(f64(0.3 * sde.T)), sde.snap(f64(0.7 * sde.T))
    a, std = sde.transition(s, t)
    assert torch.allclose(a * sde.alpha(s), sde.alpha(t), rtol=1e-12)
    variance = (a * sde.sigma(s)).square() + std.square()
    assert torch.allclose(variance, sde.sigma(t).square(), rtol=1e-12)
    derived = torch.stack(SDE.transition(sde, s, t))
    assert torch.allclose(torch.stack([a, std]), derived, rtol=1e-12)


@pytest.mark.parametrize("sde", CONTINUOUS + CHAINS, ids=repr)
def test_signal_to_noise_falls_and_kernels_keep_the_dtype(sde):
    t = sde.snap(torch.linspace(sde.t_noisy, sde.T, 200, dtype=torch.float64)).unique()
    snr = sde.alpha(t).log() - sde.sigma(t).log()
    assert snr.isfinite().all() and (snr.diff() < 0).all()
    single = t.float().view(-1, 1, 1, 1)
    for value in (sde.alpha, sde.sigma, sde.drift, sde.diffusion, sde.network_time):
        assert value(single).dtype == torch.float32 and value(single).shape == single.shape


@pytest.mark.parametrize("sde", CONTINUOUS + CHAINS, ids=repr)
def test_training_times_and_labels_cover_the_process(sde):
    u = torch.linspace(0, 1 - 1e-9, 5001, dtype=torch.float64)
    t = sde.training_time(u)
    assert (t.diff() >= 0).all() and (sde.sigma(t) > 0).all() and t.max() <= sde.T
    largest = sde.network_time(f64(sde.T)) + 1e-9
    assert sde.network_time(t).min() >= 0 and sde.network_time(t).max() <= largest < 999.001


def test_a_whole_run_is_all_of_the_process():
    for sde in CONTINUOUS + CHAINS:
        assert sde.fraction(f64(sde.T)) == pytest.approx(1, abs=1e-12)
        assert ((sde.fraction(times(sde)) >= 0) & (sde.fraction(times(sde)) < 1 + 1e-12)).all()
    assert VP().fraction(f64(0.3)) == DDPM().fraction(f64(0.3)) == 0.3
    assert EDM(0.01, 100.0).fraction(f64(1.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("sde", "name"),
    [(VP(), "vp"), (SubVP(), "subvp"), (VE(), "ve50"), (VE(0.01, 348.0), "ve348")],
    ids=["vp", "subvp", "ve50", "ve348"],
)
def test_coefficients_equal_score_sde(sde, name):
    oracle = np.load(shared_path("oracles/sde_coeffs.npz"))
    t = torch.tensor(oracle["t"])
    for ours, key in [
        (sde.drift(t), "drift_coef"),
        (sde.diffusion(t), "g"),
        (sde.alpha(t), "mean"),
        (sde.sigma(t), "std"),
    ]:
        recorded = oracle[f"{name}_{key}"]
        assert np.allclose(ours.numpy(), recorded, rtol=1e-12, atol=1e-12), key


@pytest.mark.parametrize(
    ("chain", "name"),
    [
        (DDPM(linear_betas(1000, 1e-4, 0.02)), "vp"),
        (NCSN(geometric_sigmas(1000, 0.01, 50.0)), "ve50"),
        (NCSN(geometric_sigmas(2000, 0.01, 348.0)), "ve348"),
    ],
    ids=["vp", "ve50", "ve348"],
)
def test_chains_equal_score_sde_discretisations(chain, name):
    oracle = np.load(shared_path("oracles/sde_coeffs.npz"))
    level = (torch.tensor(oracle["t"]) * (chain.levels - 1)).long().double() + 1
    a, std = chain.transition((level - 1) / chain.levels, level / chain.levels)
    assert np.allclose(a - 1, oracle[f"{name}_disc_f"], rtol=0, atol=1e-12)
    assert np.allclose(std, oracle[f"{name}_disc_G"], rtol=1e-12, atol=1e-12)
    # the diffusion of the process that a chain samples: g^2 dt is what its kernel adds
    g = chain.diffusion(level / chain.levels)
    assert torch.allclose(g / chain.levels**0.5, std, rtol=1e-12)


def test_tables_equal_score_sde():
    oracle = np.load(shared_path("oracles/sde_coeffs.npz"))
    level = torch.arange(1, 1001, dtype=torch.float64) / 1000
    assert np.allclose(DDPM().alpha(level).square(), oracle["vp_alphas_cumprod"], rtol=1e-12)
    assert np.allclose(NCSN().sigma(level), oracle["ve50_sigmas"], rtol=1e-12)


def test_sub_vp_has_less_noise_than_vp():
    t = torch.linspace(1e-5, 1, 500, dtype=torch.float64)
    assert (SubVP().sigma(t) < VP().sigma(t)).all()
    assert torch.equal(SubVP().alpha(t), VP().alpha(t))
    assert (SubVP().diffusion(t) < VP().diffusion(t)).all()


def test_cosine_is_the_cosine_until_its_last_time():
    sde, t = CosineVP(), torch.linspace(0, 0.9946, 50, dtype=torch.float64)
    angle = torch.pi / 2 * (t + 0.008) / 1.008
    assert torch.allclose(sde.alpha(t), angle.cos() / angle[0].cos(), rtol=1e-12)
    assert float(sde.alpha(t[-1])) == pytest.approx(0.0084, abs=2e-5)
    assert float(sde.beta(t[-1])) == pytest.approx(370, abs=1)
    table = DDPM(cosine_betas())  # the same process in levels
    assert float(table.alpha(f64(0.5))) == pytest.approx(float(sde.alpha(f64(0.5))), rel=1e-12)


def test_edm_trains_on_log_normal_levels():
    u = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000
    log_sigma = EDM().training_time(u).log()
    assert float(log_sigma.mean()) == pytest.approx(-1.2, abs=1e-3)
    assert float(log_sigma.std()) == pytest.approx(1.2, abs=1e-3)
    assert EDM().training_time(f64(0.0)) == 0.002
    labels = EDM().network_time(torch.tensor([0.002, 80.0, 0.4], dtype=torch.float64))
    assert labels.tolist() == pytest.approx([0, 999, 499.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VP(20.0, 0.1), "VP needs 0 < beta_min <= beta_max"),
        (lambda: SubVP(20.0, 0.1), "SubVP needs"),
        (lambda: VE(1.0, 0.1), "VE needs 0 < sigma_min < sigma_max"),
        (lambda: EDM(0.0), "EDM needs"),
        (lambda: CosineVP(T=1.0), "t_min < T < 1"),
        (lambda: DDPM(torch.tensor([0.1, 1.5])), "in \\(0, 1\\]"),
        (lambda: NCSN(torch.tensor([1.0, 0.1])), "rising sigmas"),
        (lambda: DDPM().check_start(0.5003), "between levels 500 and 501 .* 0.5 or 0.501"),
        (lambda: NCSN(geometric_sigmas(10)).check_start(0.55), "between levels 5 and 6"),
        (lambda: VP().check_start(1.2), "outside"),
        (lambda: VP().check_start(0.0), "outside"),
        (lambda: CosineVP().check_start(1.0), "such as 0.4973"),
        (lambda: EDM().check_start(100.0), "outside .*80.0.*such as 40.0"),
    ],
)
def test_errors_say_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("sde", CONTINUOUS, ids=repr)
def test_time_is_log_snr_backwards(sde):
    """At any shape, and past T, where EDM's churn may lead; a bisection to float64 accuracy."""
    t = torch.linspace(sde.t_noisy, sde.T, 50, dtype=torch.float64).view(2, 25, 1, 1)
    assert (sde.time(sde.log_snr(t)) / t - 1).abs().max() < 1e-9
    beyond = sde.log_snr(f64(sde.T)) - 1e-3
    assert sde.T < sde.time(beyond) < 1.01 * sde.T
    assert sde.levels is None


@pytest.mark.parametrize("sde", [DDPM(), NCSN()], ids=repr)
def test_a_chain_has_the_level_of_nearest_log_snr(sde):
    levels = torch.arange(1, sde.levels + 1, dtype=torch.float64) / sde.levels
    values = sde.log_snr(levels)
    assert torch.equal(sde.time(values), levels)
    step = values.diff()
    assert torch.equal(sde.time(values[:-1] + 0.49 * step), levels[:-1])
    assert torch.equal(sde.time(values[:-1] + 0.51 * step), levels[1:])
    assert torch.equal(sde.time(values[-1] - 100), levels[-1]) and sde.is_clean(f64(0.0))
    assert not sde.is_clean(levels[0])


@pytest.mark.parametrize("sde", [VP(), VE(), SubVP(), DDPM()], ids=repr)
def test_denoised_and_score_of_are_inverse(sde):
    x0, x = torch.linspace(-2, 2, 24, dtype=torch.float64).view(2, 2, 3, 2, 1)
    for t in (f64(0.25), torch.tensor([0.25, 0.75], dtype=torch.float64).view(2, 1, 1, 1)):
        assert (sde.denoised(x, t, sde.score_of(x0, x, t)) - x0).abs().max() < 1e-9
