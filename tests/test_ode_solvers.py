"""ODE solvers: Heun, RK45 and EDM's sampler against recorded runs and exact flows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from egsde.noise import Noise, Replay
from egsde.sampling.grids import Karras, LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, EDM, NCSN, VE, VP, CosineVP, Reverse, SubVP
from egsde.solvers import RK45, EDMHeun, Heun
from problems import Gaussian, Impulses, Mixture, RecordedMixture, f64
from shared import shared_path


def test_heun_equals_the_recorded_errors():
    """Mean and variance of the flow from the exact p_1 of Gaussian data; order 2."""
    oracle, sde, problem = (
        np.load(shared_path("oracles/weak_order_gaussian_vp.npz")),
        VP(),
        Gaussian(),
    )
    exact = [float(m) for m in problem.moments(sde, f64(1e-3))]
    mean, variance = problem.moments(sde, f64(1.0))
    errors = []
    for steps, recorded in zip(oracle["N"][:3], oracle["pf_heun"], strict=False):
        noise, sampler = Impulses(4), Sampler(Heun(), Uniform(int(steps)), denoise=False)
        x = mean + variance.sqrt() * noise.stream("start")(noise.images(0.0))
        y = sampler.run(Reverse(sde, problem.score(sde)), x, sampler.times(sde, 1.0), noise)
        errors.append(np.subtract(noise.moments(y), exact))
        assert np.allclose(errors[-1], recorded, rtol=1e-6, atol=1e-11)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("name", "sde"), [("vp", VP(t_min=1e-5)), ("ve", VE())])
def test_rk45_equals_recorded_samples(name, sde):
    """score_sde's ODE sampler (rtol = atol = 1e-9) took both processes to t = 1e-5."""
    oracle = np.load(shared_path(f"oracles/ode_{name}.npz"))
    latent, reverse = torch.tensor(oracle["latent"])[:2], Reverse(sde, RecordedMixture().score(sde))
    sampler = Sampler(RK45(1e-7, 1e-7), Uniform(1), denoise=False)
    y = sampler.run(reverse, latent, sampler.times(sde, 1.0), Noise(0, ["a", "b"]))
    assert np.abs(y.numpy() - oracle["sample"][:2]).max() < 1e-4


@pytest.mark.parametrize("start", [1.0, 0.5])
def test_rk45_follows_the_flow_image_by_image(start):
    sde, problem, solver = VP(), Gaussian(), RK45()
    x = torch.linspace(-2, 3, 9).view(3, 3, 1, 1)
    (m_t, v_t), (m_s, v_s) = (problem.moments(sde, f64(t)) for t in (start, sde.t_min))
    reverse = Reverse(sde, problem.score(sde))
    y, carry = solver.step(reverse, x, f64(start), f64(sde.t_min), torch.zeros_like)
    assert carry is None and y.dtype == torch.float32
    assert (y - (m_s + (v_s / v_t).sqrt() * (x - m_t))).abs().max() < 1e-4
    for row in range(3):
        alone, _ = solver.step(reverse, x[[row]], f64(start), f64(sde.t_min), torch.zeros_like)
        assert torch.equal(alone[0], y[row])
    back, _ = solver.step(reverse, y, f64(sde.t_min), f64(start), torch.zeros_like)
    assert (back - x).abs().max() < 1e-3


@pytest.mark.parametrize("sde", [VP(), VE(), EDM()], ids=repr)
def test_rk45_asks_the_score_no_more_often_for_a_batch(sde):
    """Images meet at shared times; at times of their own, 16 would ask 16 times as often."""
    calls, exact = [], Mixture().score(sde)

    def score(y, t):
        calls[-1] += 1
        return exact(y, t)

    x = Noise(0, [str(i) for i in range(16)]).stream("x")(torch.zeros(16, 3, 4, 4).double())
    ends = []
    for rows in (slice(0, 1), slice(0, 16)):
        calls.append(0)
        start = sde.sigma(f64(sde.T)) * x[rows]
        y, _ = RK45().step(Reverse(sde, score), start, f64(sde.T), f64(sde.t_min), torch.zeros_like)
        ends.append(y[0])
    assert torch.equal(*ends) and calls[0] < 220
    assert calls[1] < 1.5 * calls[0]


@pytest.mark.parametrize("sde", [DDPM(), NCSN()], ids=repr)
def test_chains_are_refused_with_the_reason(sde):
    for solver in (RK45(), EDMHeun(s_churn=40)):
        with pytest.raises(ValueError, match="between the levels .* continuous process, as sde="):
            Sampler(solver, Uniform(10), denoise=False).times(sde, 1.0)
    EDMHeun().check(sde)
    for continuous in (VP(), SubVP(), VE(), EDM(), CosineVP()):
        RK45().check(continuous)


@pytest.mark.parametrize("steps", [10, 18, 40])
def test_edm_equals_the_official_code(steps):
    oracle, sde = np.load(shared_path("oracles/edm_heun.npz")), EDM()
    sampler, x = (
        Sampler(EDMHeun(), Karras(steps - 1), denoise=True),
        torch.tensor(oracle["latents"]),
    )
    reverse, times = Reverse(sde, RecordedMixture().score(sde)), sampler.times(sde, 80.0)
    y = sampler.run(reverse, 80 * x, times, Noise(0, []))
    assert np.abs(y.numpy() - oracle[f"heun_{steps}"]).max() < 1e-9


def test_edm_with_churn_equals_the_official_code():
    oracle, sde = np.load(shared_path("oracles/edm_heun.npz")), EDM()
    solver = EDMHeun(s_churn=40, s_tmin=0.05, s_tmax=50, s_noise=1.003, steps=18)
    sampler = Sampler(solver, Karras(17), denoise=True)
    noise = Replay({f"step/{i}": [torch.tensor(z)] for i, z in enumerate(oracle["churn_18_noise"])})
    reverse, x = Reverse(sde, RecordedMixture().score(sde)), 80 * torch.tensor(oracle["latents"])
    y = sampler.run(reverse, x, sampler.times(sde, 80.0), noise)
    assert np.abs(y.numpy() - oracle["churn_18"]).max() < 1e-9


def test_edm_has_weak_order_two_with_churn():
    sde, problem, errors = EDM(), Gaussian(), []
    exact = [float(m) for m in problem.moments(sde, f64(sde.t_min))]
    for steps in (100, 200):
        noise = Impulses(steps + 4)
        mean, variance = problem.moments(sde, f64(80.0))
        x = mean + variance.sqrt() * noise.stream("start")(noise.images(0.0))
        sampler = Sampler(EDMHeun(s_churn=10, steps=steps), Karras(steps), denoise=False)
        y = sampler.run(Reverse(sde, problem.score(sde)), x, sampler.times(sde, 80.0), noise)
        errors.append(abs(np.subtract(noise.moments(y), exact)[1]))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert EDMHeun().strong_order == 2.0 and EDMHeun(s_churn=10).strong_order is None


@pytest.mark.parametrize("churn", [0.0, 30.0])
@pytest.mark.parametrize("sde", [VP(), SubVP(), VE(), CosineVP()], ids=repr)
def test_edm_is_the_same_on_every_process(sde, churn):
    """x / alpha follows one path in sigma / alpha, whatever alpha is; churn may pass T."""
    solver, edm = EDMHeun(s_churn=churn, steps=9), EDM(0.002, 1e4)
    times = Karras(8).times(sde, sde.T)
    ratios = sde.sigma(times) / sde.alpha(times)
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).view(1, 6, 1, 1) * ratios[0]
    ends = []
    for process, moments in [(sde, times), (edm, ratios)]:
        reverse = Reverse(process, Mixture(0.3).score(process))
        sampler = Sampler(solver, Karras(8), denoise=True)
        ends.append(sampler.run(reverse, process.alpha(moments[0]) * x, moments, Noise(0, ["a"])))
    assert (ends[0] - ends[1]).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("solver", "grid"), [(Heun(), Uniform(100)), (EDMHeun(), LogSNR(20))], ids=repr
)
@pytest.mark.parametrize("sde", [DDPM(), NCSN(), VP(), SubVP(), VE()], ids=repr)
def test_flow_of_gaussian_data(solver, grid, sde):
    problem, x = Gaussian(), torch.linspace(-1, 2, 6).view(2, 3, 1, 1)
    for start in (1.0, 0.5):
        (m_t, v_t), (m_s, v_s) = (problem.moments(sde, f64(t)) for t in (start, sde.t_min))
        sampler = Sampler(solver, replace(grid, steps=round(grid.steps / start)), denoise=False)
        x_t = (m_t + v_t.sqrt() * x).float()
        times = sampler.times(sde, start)
        y = sampler.run(Reverse(sde, problem.score(sde)), x_t, times, Noise(0, ["a", "b"]))
        assert y.dtype == torch.float32
        assert (y - (m_s + v_s.sqrt() * x)).abs().max() < 0.1
        if sde.t_min == 0:  # the last step is x0
            into, _ = solver.step(Reverse(sde, problem.score(sde)), x_t, f64(0.001), f64(0.0), None)
            x0 = Reverse(sde, problem.score(sde)).x0(x_t, f64(0.001))
            assert torch.allclose(into, x0)


def test_edm_options_are_checked():
    with pytest.raises(ValueError, match="s_churn >= 0"):
        EDMHeun(s_churn=-1)
