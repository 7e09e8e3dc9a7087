"""Solvers, grids and the loop: orders, exact Gaussian moments, identities between methods."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from egsde.methods import freedom, sdedit
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR, Quadratic, Uniform
from egsde.sampling.sampler import Sampler, Walk
from egsde.sde import DDPM, VP, Reverse, linear_betas
from egsde.solvers import DDIM, Ancestral, EulerMaruyama
from egsde.solvers.ancestral import kernel_std
from problems import Gaussian, Impulses, Mixture, SquaredDistance, f64
from shared import shared_path

LINEAR_GRIDS = [Uniform(20), Quadratic(12), LogSNR(12)]


def exact_moments(solver, grid, rows: int) -> tuple[float, float]:
    """Mean and variance reached from the exact marginal at t = 1."""
    sde, problem, noise = VP(), Gaussian(), Impulses(rows + 2)
    mean, variance = problem.moments(sde, f64(1.0))
    start = mean + variance.sqrt() * noise.stream("start")(noise.images(0.0))
    sampler = Sampler(solver, grid, denoise=False)
    reverse = Reverse(sde, problem.score(sde))
    return noise.moments(sampler.run(reverse, start, sampler.times(sde, 1.0), noise))


@pytest.mark.parametrize(
    ("solver", "key", "orders"),
    [
        (EulerMaruyama(), "em", (1, 1)),
        (EulerMaruyama(eta=0), "pf_euler", (1, 1)),
        (DDIM(), "ddim", (None, 1)),
        (Ancestral(), "ddpm_anc", (None, 1)),
    ],
    ids=["em", "euler", "ddim", "ancestral"],
)
def test_weak_errors_and_orders(solver, key, orders):
    """Errors equal the recorded exact recursions; None: exact at every step size."""
    oracle = np.load(shared_path("oracles/weak_order_gaussian_vp.npz"))
    sde = VP()
    exact = [float(m) for m in Gaussian().moments(sde, f64(1e-3))]
    errors = {}
    for steps, recorded in zip(oracle["N"][:5], oracle[key], strict=False):
        reached = exact_moments(solver, Uniform(int(steps)), int(steps))
        errors[int(steps)] = np.subtract(reached, exact)
        assert np.allclose(errors[int(steps)], recorded, rtol=1e-6, atol=1e-11)
    for moment, order in enumerate(orders):
        if order is None:
            assert abs(errors[800][moment]) < 1e-12
        else:
            slope = np.log2(errors[400][moment] / errors[800][moment])
            assert slope == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("steps", [5, 10, 20])
@pytest.mark.parametrize(
    ("solver", "grid", "row"),
    [
        (DDIM(), Uniform, "ddim_t"),
        (DDIM(), LogSNR, "ddim_lam"),
        (Ancestral(), Uniform, "ddpm_post_t"),
        (Ancestral(), LogSNR, "ddpm_post_lam"),
    ],
)
def test_few_steps_equal_recorded_moments(solver, grid, row, steps):
    oracle = np.load(shared_path("oracles/fewstep_gaussian_vp.npz"))
    recorded = oracle[f"s2_0.04_N{steps}"][list(oracle["methods"]).index(row)]
    noise = Impulses(steps + 2)  # recorded runs start from N(0, 1)
    sde, problem, sampler = VP(), Gaussian(0.5, 0.04), Sampler(solver, grid(steps), denoise=False)
    start = noise.stream("start")(noise.images(0.0))
    y = sampler.run(Reverse(sde, problem.score(sde)), start, sampler.times(sde, 1.0), noise)
    if row.startswith("ddpm_post"):  # recorded without the noise of the last step
        y[-1] = y[0]
    assert np.allclose(noise.moments(y), recorded, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("grid", LINEAR_GRIDS, ids=repr)
@pytest.mark.parametrize("sde", [VP(), DDPM()], ids=repr)
def test_ddim_with_full_noise_is_ancestral(sde, grid):
    score, x = Mixture().score(sde), torch.linspace(-2, 2, 48, dtype=torch.float64).view(1, 3, 4, 4)
    runs = []
    for solver in (DDIM(eta=1.0), Ancestral()):
        sampler = Sampler(solver, grid, denoise=False)
        times = sampler.times(sde, 1.0)
        runs.append(sampler.run(Reverse(sde, score), x, times, Noise(1, ["a"])))
    assert (runs[0] - runs[1]).abs().max() < 1e-12


def test_ancestral_step_is_the_ddpm_posterior():
    """The step from level i is q(x_{i-1} | x_i, x0-hat) in the coefficients of Ho 2020, eq. 7."""
    sde, i = DDPM(), 400
    betas, t, s = linear_betas(), f64(0.4), f64(0.399)
    alpha_bar = (1 - betas).cumprod(0)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    reverse = Reverse(sde, Mixture().score(sde))
    b, now, before = betas[i - 1], alpha_bar[i - 1], alpha_bar[i - 2]
    mean = before.sqrt() * b / (1 - now) * reverse.x0(x, t)
    mean = mean + (1 - b).sqrt() * (1 - before) / (1 - now) * x
    z = torch.ones_like(x)
    for variance, solver in [
        (b * (1 - before) / (1 - now), Ancestral()),
        (b, Ancestral(kernel_std)),
    ]:
        ours, carry = solver.step(reverse, x, t, s, lambda x: z)
        assert torch.allclose(ours, mean + variance.sqrt() * z, rtol=1e-11)
        assert carry is None


@pytest.mark.parametrize("solver", [Ancestral(), Ancestral(kernel_std), DDIM(1.0), EulerMaruyama()])
def test_no_noise_into_clean_data(solver):
    sde, x = DDPM(), torch.randn(2, 3, 4, 4, dtype=torch.float64)
    reverse, t, s = Reverse(sde, Gaussian().score(sde)), f64(0.001), f64(0.0)
    quiet, _ = solver.step(reverse, x, t, s, torch.zeros_like)
    noisy, _ = solver.step(reverse, x, t, s, torch.ones_like)
    assert torch.equal(quiet, noisy)


def test_uniform_grid_visits_every_level_of_the_chain():
    times = Uniform(1000).times(DDPM(), 0.5)
    assert times.dtype == torch.float64 and len(times) == 501
    assert torch.equal(DDPM().level(times), torch.arange(500, -1, -1))


@pytest.mark.parametrize("grid", LINEAR_GRIDS, ids=repr)
@pytest.mark.parametrize("sde", [VP(), DDPM()], ids=repr)
def test_grids_fall_from_the_start_to_the_end(grid, sde):
    for start in (1.0, 0.5):
        times = grid.times(sde, start)
        assert times[0] == start and times[-1] == sde.t_min
        assert len(times) == round(grid.steps * start) + 1
        assert (times.diff() < 0).all()


def test_spacing_of_grids():
    sde = VP()
    root = Quadratic(10).times(sde, 1.0).sqrt().diff()
    assert torch.allclose(root, root[0].expand(10), rtol=1e-9)
    times = LogSNR(10).times(sde, 1.0)
    step = (sde.alpha(times).log() - sde.sigma(times).log()).diff()
    assert torch.allclose(step, step[0].expand(10), rtol=1e-6)


@pytest.mark.parametrize(
    ("grid", "start", "message"),
    [
        (Uniform(2000), 0.5, "steps=1000$"),
        (Uniform(1001), 1.0, "steps=1000$"),
        (Uniform(1000), 0.5003, "between levels 500 and 501"),
        (Uniform(1000), 1.5, "outside"),
        (Quadratic(900), 1.0, "at most [0-9]+ steps; use steps="),
    ],
)
def test_impossible_grids_say_what_to_do(grid, start, message):
    with pytest.raises(ValueError, match=message):
        grid.times(DDPM(), start)


def test_a_grid_without_steps_is_an_error():
    with pytest.raises(ValueError, match="at least one step"):
        Uniform(0)


def test_denoise_returns_x0_of_the_last_noisy_state_only():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    for sde, extra in [(VP(), 1), (DDPM(), 0)]:
        reverse = Reverse(sde, Gaussian().score(sde))
        sampler = Sampler(DDIM(), Uniform(10), denoise=True)
        times = sampler.times(sde, 1.0)
        noise = Noise(0, ["a", "b"])
        states = list(Walk(sampler, reverse, times, noise).trajectory(x))
        assert len(states) == 11 + extra and states[-1][1] == 0
        assert torch.equal(states[0][2], x)
        if extra:
            assert torch.equal(states[-1][2], reverse.x0(states[-2][2], times[-1]))
        assert torch.equal(states[-1][2], sampler.run(reverse, x, times, noise))


class OnlyStep:
    """DDIM as an object that has nothing but its step."""

    def step(self, reverse, x, t, s, randn, carry=None):
        return DDIM().step(reverse, x, t, s, randn)


@pytest.mark.parametrize("sde", [VP(), DDPM()], ids=repr)
def test_an_object_with_a_step_is_a_solver(sde):
    """It needs no base class, also inside the solvers that go back in time."""
    x0, noise = torch.zeros(2, 3, 4, 4, dtype=torch.float64), Noise(0, ["a", "b"])
    for method in (sdedit, partial(freedom, energy=SquaredDistance(1.0), travels=2)):
        ends = [
            method(Gaussian().score(sde), Sampler(solver, Uniform(10)))(x0, noise)
            for solver in (OnlyStep(), DDIM())
        ]
        assert torch.equal(*ends)
