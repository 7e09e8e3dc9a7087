"""Flows and bridges: processes with two ends, against their closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp

from egsde.methods import bridge
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores.predictions import VelocityPrediction
from egsde.sde import VE, VP, Brownian, Straight
from egsde.solvers import DDIM, Ancestral, Heun
from egsde.training.bridges import (
    Entropic,
    Independent,
    MinibatchOT,
    Pinned,
    StraightPath,
    sinkhorn,
)
from egsde.training.bridges.paths import pinned

F64 = torch.float64


def t_(value):
    return torch.tensor(float(value), dtype=F64)


# Two Gaussians: the source N(M1, S1^2), the target N(M0, S0^2).
M0, S0, M1, S1 = 0.3, 0.4, -0.5, 0.9


@dataclass
class GaussianFlow:
    """The exact E[x_0 | x_t] of a straight path between independent Gaussians, as a score."""

    sde: Straight

    def __call__(self, y, t, source=None):
        a, s = self.sde.alpha(t), self.sde.sigma(t)
        variance = (a * S0).square() + (s * S1).square()
        eps = M1 + s * S1**2 / variance * (y - a * M0 - s * M1)
        return -eps / s


def test_the_flow_between_gaussians_is_the_optimal_map():
    """u = M1 - M0 + (t S1^2 - (1 - t) S0^2) / v_t (x - m_t), integrated from x: OT to 1e-9."""

    def velocity(t, x):
        score = GaussianFlow(Straight())(torch.tensor(x), t_(t))
        eps = -t * score
        return (eps - (torch.tensor(x) - t * eps) / (1 - t)).numpy()

    x = np.linspace(-2, 1, 7)
    end = 1 - 1e-6
    start = (end * S1 / S1 * (x - M1)) + M1  # at `end`, a millionth before the source
    found = solve_ivp(velocity, (end, 1e-9), start, method="DOP853", rtol=1e-12, atol=1e-12).y[
        :, -1
    ]
    assert np.abs(found - (M0 + S0 / S1 * (x - M1))).max() < 3e-6


@pytest.mark.parametrize(("solver", "order"), [(DDIM(), 1), (Heun(), 2)], ids=["Euler", "Heun"])
def test_the_loop_walks_the_flow_with_the_solvers_order(solver, order):
    score = GaussianFlow(Straight(T=1 - 1e-6, t_min=1e-6))
    x = torch.linspace(-2, 1, 7, dtype=F64).view(1, 1, 1, 7)
    truth = M0 + S0 / S1 * (x - M1)
    errors = [
        float((bridge(score, Sampler(solver, Uniform(n)))(x, Noise(0, ["a"])) - truth).abs().max())
        for n in (8, 16, 32)
    ]
    rates = [math.log2(a / b) for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert rates[-1] == pytest.approx(order, abs=0.35), errors


def test_a_velocity_is_eps_minus_x0():
    sde, prediction = Straight(), VelocityPrediction()
    x0, eps = torch.randn(2, 3, 1, 4, 4, dtype=F64)
    t = torch.full((3, 1, 1, 1), 0.3, dtype=F64)
    a, s = sde.alpha(t), sde.sigma(t)
    output = prediction.target(x0, eps, a, s)
    score = prediction.score(output, sde.perturb(x0, t, eps), a, s)
    assert torch.allclose(score, -eps / s)
    assert torch.allclose(sde.denoised(sde.perturb(x0, t, eps), t, score), x0)


@pytest.mark.parametrize("sde", [Straight(), Brownian(0.3), Brownian(0.191, 0.523)])
def test_drift_and_diffusion_belong_to_alpha_and_sigma(sde):
    """d sigma^2 / dt = 2 f sigma^2 + g^2, by finite differences."""
    for value in (0.1, 0.45, 0.55, 0.9):
        t, h = t_(value), 1e-6
        slope = (sde.sigma(t + h).square() - sde.sigma(t - h).square()) / (2 * h)
        wanted = 2 * sde.drift(t) * sde.sigma(t).square() + sde.diffusion(t).square()
        assert float(slope) == pytest.approx(float(wanted), rel=1e-6)


def test_i2sbs_process_is_the_published_one():
    """sqrt(beta) from 0.1 up to 0.3 in the middle and back, per unit of time."""
    sde = Brownian(0.191, 0.523)
    beta = [float(sde.diffusion(t_(t)).square()) for t in (0, 0.5, 1)]
    assert beta == pytest.approx([0.1, 0.3, 0.1], rel=3e-3)
    total, _ = quad(lambda t: float(sde.diffusion(t_(t)).square()), 0, 1)
    assert total == pytest.approx(float(sde.sigma(t_(1)).square()), rel=1e-9)
    with pytest.raises(ValueError, match="edge"):
        Brownian(0.1, 1.5)


@pytest.mark.parametrize(
    "sde", [VP(0.1, 2.1), VE(0.02, 2.0), Brownian(0.25), Brownian(0.191, 0.52)]
)
def test_a_pinned_process_is_bayes_rule(sde):
    """q(x_t | x_0, x_T) from q(x_t | x_0) and q(x_T | x_t), and it ends at both ends."""
    for value in (0.2, 0.5, 0.8):
        t, end = t_(value), t_(1)
        a, b, std = pinned(sde, t)
        factor, noise = sde.transition(t, end)
        precision = 1 / sde.sigma(t).square() + (factor / noise).square()
        assert float(std.square()) == pytest.approx(float(1 / precision), rel=1e-9)
        assert float(a) == pytest.approx(
            float(sde.alpha(t) / sde.sigma(t).square() / precision), rel=1e-9
        )
        assert float(b) == pytest.approx(float(factor / noise.square() / precision), rel=1e-9)
    a, b, std = pinned(sde, t_(1))
    assert (float(a), float(b), float(std)) == pytest.approx((0, 1, 0), abs=1e-7)


def test_a_brownian_bridge_is_the_textbooks():
    y, x, z = torch.randn(3, 4, 1, 2, 2, dtype=F64)
    u = torch.rand(4, 1, 1, 1, dtype=F64)
    sde = Brownian(0.25)
    point = Pinned()(sde, y, x, u, z)
    t = point.t
    assert torch.allclose(point.x_t, (1 - t) * y + t * x + (0.25 * t * (1 - t)).sqrt() * z)
    assert torch.allclose(sde.perturb(y, t, point.eps), point.x_t)


@dataclass
class GaussianBridge:
    """The exact E[x_0 | x_t] of Brownian bridges between pairs with covariance c, as a score."""

    sde: Brownian
    covariance: float
    own: float
    other: float

    def __call__(self, y, t, source=None):
        s, v = float(t), self.sde.variance
        both = (1 - s) * self.own**2 + s * self.covariance
        total = (1 - s) ** 2 * self.own**2 + s**2 * self.other**2
        total += 2 * s * (1 - s) * self.covariance + v * s * (1 - s)
        return self.sde.score_of(both / total * y, y, t)


def test_iterated_fits_end_in_the_schroedinger_bridge():
    """cov = (sqrt(v^2 + 4 s1^2 s2^2) - v) / 2: the pairs of one direction teach the other."""
    variance, s_x, s_y = 0.5, 0.8, 0.5
    sde, sampler = Brownian(variance, t_min=1e-3), Sampler(Ancestral(), Uniform(150))
    truth = (math.sqrt(variance**2 + 4 * (s_x * s_y) ** 2) - variance) / 2
    covariance, found = 0.0, []
    side = 70
    for sweep in range(6):
        own, other = (s_y, s_x) if sweep % 2 == 0 else (s_x, s_y)
        score = GaussianBridge(sde, covariance, own, other)
        start = other * Noise(sweep, ["a"]).stream("ends")(torch.empty(1, 1, side, side, dtype=F64))
        made = bridge(score, sampler)(start, Noise(sweep, ["b"]))
        covariance = float((start * made).mean())
        found.append(covariance)
        assert float(made.std()) == pytest.approx(own, rel=0.06)
    assert found[0] < 0.9 * truth or found[0] < found[-1]
    assert found[-1] == pytest.approx(truth, abs=0.02)


def test_i2sb_with_the_exact_pair_returns_the_target():
    """With a certain x_0 every step is the bridge's posterior, and the walk ends in x_0."""
    sde = Brownian(0.191, 0.523)
    y, x = torch.randn(2, 1, 1, 40, 40, dtype=F64)

    class Certain:
        def __init__(self):
            self.sde = sde

        def __call__(self, state, t, source=None):
            return sde.score_of(y, state, t)

    states = list(
        bridge(Certain(), Sampler(Ancestral(), Uniform(10))).trajectory(x, Noise(0, ["a"]))
    )
    assert torch.equal(states[0][2], x) and torch.allclose(states[-1][2], y, atol=1e-9)
    _, t, middle = states[5]
    a, b, std = pinned(sde, t)
    assert float((middle - a * y - b * x).std()) == pytest.approx(float(std), rel=0.06)


def test_a_coupling_takes_two_batches_and_gives_pairs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, 1, 1, 2, generator=generator)
    order = torch.randperm(16, generator=generator)
    y = x[order] + 0.01
    u = torch.rand(16, 1, 1, 1, generator=generator)
    assert Independent()(x, y, u)[1] is y
    for coupling in (MinibatchOT(), Entropic(1e-3)):
        left, right = coupling(x, y, u)
        assert torch.equal(left, x) and torch.allclose(right, x + 0.01, atol=1e-6)
    _, loose = Entropic(100.0)(x, y, u)
    assert not torch.allclose(loose, x + 0.01, atol=1e-2)
    with pytest.raises(ValueError, match="variance"):
        Entropic(0.0)


def test_the_entropic_plan_of_gaussians_has_the_bridges_covariance():
    """Sinkhorn on quantiles of both, against the closed form of the static bridge."""
    variance, s_x, s_y, n = 0.5, 0.8, 0.5, 400
    places = torch.special.ndtri((torch.arange(n, dtype=F64) + 0.5) / n)
    x, y = s_x * places, s_y * places
    plan = sinkhorn((x[:, None] - y).square() / 2, variance, 200)
    assert torch.allclose(plan.sum(0) * n, torch.ones(n, dtype=F64), atol=1e-6)
    truth = (math.sqrt(variance**2 + 4 * (s_x * s_y) ** 2) - variance) / 2
    assert float((plan * x[:, None] * y).sum()) == pytest.approx(truth, abs=3e-3)


def test_a_straight_path_is_straight():
    y, x, z = torch.randn(3, 4, 1, 2, 2, dtype=F64)
    u = torch.rand(4, 1, 1, 1, dtype=F64)
    point = StraightPath()(Straight(), y, x, u, z)
    assert torch.allclose(point.x_t, (1 - point.t) * y + point.t * x) and point.eps is x
    blurred = StraightPath(0.1)(Straight(), y, x, u, z)
    assert torch.allclose(blurred.x_t - point.x_t, 0.1 * z)
