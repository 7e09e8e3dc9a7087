"""log p against closed forms and the official bits per dimension; the bound against log p."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from egsde.evaluation.likelihood import (
    Basis,
    Density,
    Discretised,
    Hutchinson,
    ProbabilityFlow,
    VariationalBound,
    bits_per_dim,
    dequantised,
    gaussian_kl,
    prior_kl,
    with_divergence,
)
from egsde.noise import Noise, Replay
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sde import DDPM, VE, VP, CosineVP, SubVP, linear_betas
from egsde.solvers.ancestral import kernel_std, posterior_std
from egsde.solvers.dormand_prince import integrate
from problems import Gaussian, RecordedMixture, f64
from shared import ROOT, shared_path

PROCESSES = {"vp": VP(), "ve": VE(), "subvp": SubVP()}
RECORDED = sorted(
    name for name in PROCESSES if name != "subvp" or (ROOT / "oracles/ode_subvp.npz").exists()
)


def recorded(name: str) -> dict[str, torch.Tensor]:
    file = np.load(shared_path(f"oracles/ode_{name}.npz"))
    return {key: torch.from_numpy(file[key]) for key in file if file[key].dtype.kind == "f"}


def exact_prior(problem: RecordedMixture, sde):
    return lambda x: problem.log_prob(sde, x, f64(sde.T))


@pytest.mark.parametrize("name", RECORDED)
def test_one_probe_gives_the_official_bits_per_dimension(name):
    oracle, sde = recorded(name), PROCESSES[name]
    noise = Replay({"probe": [oracle["rademacher"]]})
    flow = ProbabilityFlow(RecordedMixture().score(sde), rtol=1e-6, atol=1e-6)
    found = flow.log_prob(oracle["data"], noise)
    bits = bits_per_dim(-found.log_prob, 12, width=1.0)  # data in [0, 1]
    assert (bits - oracle["bpd_official"]).abs().max() < 1e-4
    scale = oracle["z_official"].abs().max()
    assert ((found.latent - oracle["z_official"]) / scale).abs().max() < 1e-4


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "vp" else pytest.mark.slow) for n in RECORDED]
)
def test_log_prob_equals_the_closed_form(name):
    """With p_T exact; the error falls with the tolerance, whose default is the official one."""
    oracle, sde, problem = recorded(name), PROCESSES[name], RecordedMixture()
    for tolerance, error in [(1e-5, 1e-3), (1e-7, 1e-5)]:
        flow = ProbabilityFlow(problem.score(sde), Basis(), exact_prior(problem, sde),
                               rtol=tolerance, atol=tolerance)  # fmt: skip
        found = flow.log_prob(oracle["data"], Noise(0, []))
        assert (found.log_prob - oracle["logp_eps_exact"]).abs().max() < error


def test_a_normal_prior_costs_what_the_records_say():
    file = np.load(shared_path("oracles/ode_vp_exact_trace.npz"))
    oracle, sde, problem = recorded("vp"), VP(), RecordedMixture()
    flow = ProbabilityFlow(problem.score(sde), Basis(), rtol=1e-9, atol=1e-9)
    found = flow.log_prob(oracle["data"], Noise(0, []))
    assert np.abs(found.latent.flatten(1).numpy() - file["z"]).max() < 1e-6
    gap = found.log_prob.numpy() - file["logp_prior_N01"]
    assert np.abs(gap).max() < 1e-3  # the records have variance 1, we have sigma(T)^2 = 1 - 4e-5
    assert np.abs(found.log_prob.numpy() - file["closed"]).max() < 0.02


@pytest.mark.parametrize("sde", [VP(), SubVP(), CosineVP(), VE()], ids=repr)
def test_gaussian_data(sde):
    problem, x = Gaussian(0.3, 0.1), torch.linspace(-1, 1, 24, dtype=torch.float64)
    x = x.view(2, 3, 2, 2)
    ends = [problem.moments(sde, f64(t)) for t in (sde.t_train, sde.T)]
    densities = [torch.distributions.Normal(m, v.sqrt()) for m, v in ends]

    def total(density, x):
        return density.log_prob(x).flatten(1).sum(1)

    score, prior = problem.score(sde), lambda x: total(densities[1], x)
    flow = ProbabilityFlow(score, prior=prior, rtol=1e-7, atol=1e-7)
    found = flow.log_prob(x, Noise(0, ["a", "b"]))  # one probe is exact: the Jacobian is a multiple
    assert (found.log_prob - total(densities[0], x)).abs().max() < 1e-4


def test_images_know_nothing_of_their_batch():
    sde, problem = VP(), RecordedMixture()
    flow = ProbabilityFlow(problem.score(sde))
    x = problem.means.clone()
    x[1] *= 3
    together = flow.log_prob(x, Noise(0, ["a", "b", "c"]))
    alone = flow.log_prob(x[1:2], Noise(0, ["b"]))
    assert torch.allclose(together.log_prob[1:2], alone.log_prob, rtol=0, atol=1e-12)
    assert together.nfe[1] == alone.nfe and len(set(together.nfe.tolist())) > 1


def test_integration_keeps_its_tolerance_and_tells_where_it_cannot():
    """y' = a y with a rate for every row, forth and back."""
    rates = torch.tensor([0.1, 3.0, -20.0], dtype=torch.float64)[:, None]
    y0 = torch.ones(3, 2, dtype=torch.float64)
    evaluations = []
    for tolerance in (1e-4, 1e-9):
        y, count = integrate(lambda t, y, rows: rates[rows] * y, y0, 0, 1, tolerance, tolerance)
        assert (y - rates.exp()).abs().div(rates.exp().clamp(min=1)).max() < 3 * tolerance
        evaluations.append(count)
    assert (evaluations[0] < evaluations[1]).all() and evaluations[0][0] < evaluations[0][2]
    back, _ = integrate(lambda t, y, rows: t.cos().expand_as(y), y0, 2, 0, 1e-9, 1e-9)
    assert (back - (1 - math.sin(2))).abs().max() < 1e-8
    with pytest.raises(ValueError, match="cannot be followed"):
        integrate(lambda t, y, rows: 1 / (0.5 - t) ** 3 * y, y0, 0, 1)


@pytest.mark.parametrize("gaussian", [False, True])
def test_hutchinson_is_unbiased(gaussian):
    matrix = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 12)))
    x = torch.zeros(1, 3, 2, 2, dtype=torch.float64)

    def linear(x):
        return (x.flatten(1) @ matrix.T).view_as(x)

    _, exact = with_divergence(linear, x, Basis().draw(x, torch.zeros_like))
    assert torch.allclose(exact, matrix.trace())
    count = 4000
    probes = Hutchinson(count, gaussian).draw(x, Noise(0, ["a"]).stream("probe"))
    _, found = with_divergence(linear, x, probes)
    error = (matrix + matrix.T).square().sum().div(2 * count).sqrt()  # of gaussian probes
    assert (found - exact).abs() < 3 * error


def test_dequantised_values_stay_in_their_bin():
    levels = torch.arange(256).repeat(12)
    x = (levels / 127.5 - 1).view(1, 3, 32, 32)
    y = dequantised(x, Noise(0, ["a"]).stream("u")).flatten()
    inside = (y + 1) * 128 - levels
    assert inside.min() > -1e-4 and inside.max() < 1 + 1e-4
    assert inside.mean() == pytest.approx(0.5, abs=3 * 12**-0.5 * 3072**-0.5)
    flow = ProbabilityFlow(Gaussian().score(VP()), dequantise=True)
    assert flow(x[..., :2, :2], Noise(0, ["a"]))["bits_per_dim"] > 0


def test_a_chain_has_no_flow():
    with pytest.raises(ValueError, match="likelihood=bound"):
        ProbabilityFlow(Gaussian().score(DDPM()))


def gap(sde, grid, variance, problem=Gaussian(0.2, 0.3)) -> float:  # noqa: B008
    """Bound minus entropy in nats per pixel, exactly: noise and data only enter as squares, of
    which two points at one standard deviation have the right mean."""
    points = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    x0 = problem.mean + problem.variance**0.5 * points.repeat(2).view(4, 1, 1, 1)
    eps = points.repeat_interleave(2).view(4, 1, 1, 1)
    bound = VariationalBound(problem.score(sde), grid, variance, Density(), clip=False)
    records = {f"bound/{i}": [eps] for i in range(bound.steps)}
    found = sum(bound.terms(x0, Replay(records)).values())
    return float(found.mean()) - 0.5 * math.log(2 * math.pi * math.e * problem.variance)


def test_the_bound_holds_and_closes_as_the_chain_gets_longer():
    """The gap falls as 1 / N with the kernel's variance; the posterior's leaves one."""
    gaps = {
        n: gap(DDPM(linear_betas(n, 0.1 / n, 20 / n)), Uniform(n), kernel_std)
        for n in (50, 100, 200)
    }
    assert gaps[50] > gaps[100] > gaps[200] > 0
    assert math.log2(gaps[50] / gaps[100]) == pytest.approx(1, abs=0.1)
    assert math.log2(gaps[100] / gaps[200]) == pytest.approx(1, abs=0.1)
    left = [
        gap(DDPM(linear_betas(n, 0.1 / n, 20 / n)), Uniform(n), posterior_std) for n in (50, 200)
    ]
    assert left[0] > left[1] > 0.2


@pytest.mark.parametrize("sde", [VP(), VE(), SubVP()], ids=repr)
def test_the_bound_of_a_continuous_process(sde):
    """The gap falls as 1 / N to what the prior N(0, sigma(T)^2) in place of p_T costs."""
    gaps = [gap(sde, LogSNR(n), kernel_std) for n in (40, 80, 160)]
    mean, variance = Gaussian(0.2, 0.3).moments(sde, f64(sde.T))
    sigma = sde.sigma(f64(sde.T))
    prior = float(gaussian_kl(mean, variance.sqrt(), torch.zeros_like(sigma), sigma))
    assert gaps[0] > gaps[1] > gaps[2] > prior > 0
    assert math.log2((gaps[1] - prior) / (gaps[2] - prior)) == pytest.approx(1, abs=0.1)


def test_the_bound_lies_above_the_flow():
    """The same density, exactly and bounded, of the recorded mixture: a bound on average."""
    sde, problem = VP(), RecordedMixture()
    x = recorded("vp")["data"].repeat(8, 1, 1, 1)
    noise = Noise(0, [str(i) for i in range(len(x))])
    bound = VariationalBound(problem.score(sde), LogSNR(200), decoder=Density(), clip=False)
    found = bound(x, noise)
    exact = bits_per_dim(-problem.log_prob(sde, x, f64(1e-5)), 12)
    assert 0 < (found["bits_per_dim"] - exact).mean() < 0.15
    parts = found["prior"] + found["steps"] + found["decoder"]
    assert torch.allclose(parts + 7, found["bits_per_dim"])


def test_discretised_probabilities_add_up_to_one():
    bins = (torch.arange(256, dtype=torch.float64) / 127.5 - 1).view(256, 1, 1, 1)
    for mean, std in [(0.1, 0.3), (-0.99, 0.05), (0.999, 0.01)]:
        log_prob = Discretised().log_prob(bins, f64(mean), f64(std))
        assert log_prob.exp().sum() == pytest.approx(1, abs=1e-9)
    wide = Discretised().log_prob(bins, f64(0.0), f64(0.5))[100:150]
    density = Density().log_prob(bins, f64(0.0), f64(0.5))[100:150] + math.log(2 / 255)
    assert (wide - density).abs().max() < 2e-5  # the curvature inside a bin


def test_prior_term():
    """Of the chain of Ho 2020 it is 4e-5 x^2 / 2: below 1e-4 bits a dimension."""
    x = torch.ones(1, 3, 2, 2, dtype=torch.float64)
    assert 0 < float(prior_kl(DDPM(), x)) / 12 / math.log(2) < 1e-4
