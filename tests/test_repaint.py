"""RePaint: its schedule, exact moments of the filled pixel, and the known pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.methods import repaint
from egsde.noise import Noise
from egsde.sampling.grids import Respaced, Uniform
from egsde.sampling.jumps import Jumps
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores import ScoreModel
from egsde.sde import DDPM, VP, Reverse, linear_betas
from egsde.solvers import DDIM, Ancestral, Solver, TimeTravel
from problems import Gaussian, Pointwise, f64, named
from shared import shared_path


@pytest.mark.parametrize(
    ("name", "steps", "length", "resamples", "calls"),
    [("paper_250_10_10", 250, 10, 10, 2410), ("small_20_5_3", 20, 5, 3, None)],
)
def test_walk_equals_the_recorded_schedule(name, steps, length, resamples, calls):
    """Their list starts after x_T and counts from -1; ours has a level for every entry."""
    recorded = torch.as_tensor(np.load(shared_path("oracles/repaint_schedule.npz"))[name])
    sde = DDPM(linear_betas(steps))
    levels = sde.level(Jumps(Uniform(steps), length, resamples).times(sde, 1.0))
    assert torch.equal(levels - 1, recorded)
    falls = int((levels.diff() < 0).sum())
    assert calls is None or falls == calls


def test_no_room_to_jump_is_said():
    with pytest.warns(UserWarning, match="no jump of 10 steps fits into the 10 from"):
        times = Jumps(Uniform(10)).times(VP(), 1.0)
    assert torch.equal(times, Uniform(10).times(VP(), 1.0))


def test_the_walk_follows_any_grid():
    """Respaced levels, a late start and continuous time: each in the places of its own grid."""
    for sde, grid, start in [(DDPM(), Respaced(20), 1.0), (VP(), Uniform(20), 0.5)]:
        inner = grid.times(sde, start)
        times = Jumps(grid, 5, 3).times(sde, start)
        assert times[0] == start and times[-1] == sde.t_min
        assert set(times.tolist()) == set(inner.tolist())
        assert torch.equal(Jumps(grid, 5, 1).times(sde, start), inner)
    with pytest.raises(ValueError, match="positive length and number of resamples, got 0 and 10"):
        Jumps(length=0)


class Pairs:
    """Row b is two pixels N(0, [[1, rho_b], [rho_b, 1]]): score -(alpha^2 S + sigma^2 I)^-1 y."""

    def __init__(self, sde: DDPM, rho: Tensor) -> None:
        self.sde, self.rho = sde, rho.view(-1, 1, 1, 1)

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        variance = self.sde.alpha(t).square() + self.sde.sigma(t).square()
        covariance = self.sde.alpha(t).square() * self.rho
        return (covariance * y.flip(-1) - variance * y) / (variance**2 - covariance**2)


class PairImpulses:
    """Each draw is one in one pixel of one row of its own, the others zero (see `Impulses`)."""

    def __init__(self, first: int) -> None:
        self.used = first

    def stream(self, key):
        def randn_like(x):
            z = torch.zeros_like(x)
            for pixel in (0, 1):
                z[self.used : self.used + 1, ..., pixel] = 1
                self.used += 1
            return z

        return randn_like

    def child(self, key):
        return self


def filled(rho: Tensor, resamples: int, first: int) -> Tensor:
    """The second pixel where the first is known to be 1.5: linear in all that is drawn."""
    sde = DDPM(torch.linspace(4e-4, 8e-2, 250, dtype=torch.float64))
    sampler = Sampler(Ancestral(), Uniform(250), denoise=False)
    score = Pairs(sde, rho)
    translate = repaint(score, sampler, length=1, resamples=resamples, clip=False)
    x0 = torch.tensor([1.5, 0.0], dtype=torch.float64).expand(len(rho), 1, 1, 2)
    mask = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(len(rho), 1, 1, 2)
    y = translate(x0, PairImpulses(first), mask=mask)
    assert torch.equal(y[..., 0], x0[..., 0])
    return y[..., 1].flatten()


@pytest.mark.parametrize("counts", [(1, 2, 5), pytest.param((10, 20), marks=pytest.mark.slow)])
def test_means_equal_the_recorded_and_their_bias_falls_with_resampling(counts):
    """Recorded by Monte Carlo with n = 6e4; ours are the exact means of the linear recursion."""
    rows = np.load(shared_path("oracles/repaint_gaussian.npz"))["rows"]
    biases = []
    for resamples in counts:
        chosen = rows[rows[:, 1] == resamples]
        rho, _, mean, variance, true_mean, _ = chosen.T
        ours = filled(torch.as_tensor(rho), resamples, first=len(rho)).numpy()  # draws nothing
        assert (np.abs(ours - mean) < 4 * (variance / 6e4) ** 0.5).all()
        biases.append(np.abs(ours - true_mean))
    assert (np.diff(biases, axis=0) < 0).all()
    assert (biases[-1] < {5: 0.3, 20: 0.08}[counts[-1]] * true_mean).all()


@pytest.mark.parametrize("resamples", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_variances_equal_the_recorded(resamples):
    rows = np.load(shared_path("oracles/repaint_gaussian.npz"))["rows"]
    row = next(r for r in rows if r[0] == 0.9 and r[1] == resamples)
    draws = 2 * (2 * 250 * (2 * resamples - 1) + 1)
    y = filled(torch.full((draws + 1,), 0.9, dtype=torch.float64), resamples, first=1)
    variance = float((y[1:] - y[0]).square().sum())
    assert variance == pytest.approx(row[3], rel=4 * (2 / 6e4) ** 0.5)


@pytest.mark.parametrize("inner", [Ancestral(), DDIM()], ids=named)
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=named)
def test_known_pixels_end_exactly_the_sources(sde, inner):
    x0 = torch.rand(2, 3, 8, 8, generator=torch.manual_seed(0)) * 2 - 1
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    score = ScoreModel(Pointwise(), sde)
    translate = repaint(score, Sampler(inner, Uniform(20), denoise=True), 5, 3)
    y = translate(x0, Noise(0, ["a", "b"]), mask=mask)
    kept = mask.bool().expand_as(y)
    assert torch.equal(y[kept], x0[kept]) and (y - x0)[~kept].abs().min() > 0
    falls = int((translate.times.diff() < 0).sum())
    assert score.calls == falls + (sde.t_min > 0)
    with pytest.raises(ValueError, match="needs a mask"):
        translate(x0, Noise(0, ["a", "b"]))


def test_a_rise_is_the_forward_kernel_and_drops_what_was_carried():
    sde, x, z = VP(), torch.ones(1, 1, 2, 2, dtype=torch.float64), torch.full((1, 1, 2, 2), 2.0)
    carried = []

    class Carries(Solver):
        def step(self, reverse, x, t, s, randn, carry=None):
            carried.append(carry)
            return x, "history"

    sampler = Sampler(TimeTravel(Carries()), grid=None, denoise=False)
    times = torch.tensor([0.5, 0.4, 0.3, 0.4, 0.3, 0.2], dtype=torch.float64)
    walk = Walk(sampler, Reverse(sde, Gaussian().score(sde)), times, Noise(0, ["a"]))
    states = [y for *_, y in walk.trajectory(x)]
    assert carried == [None, "history", None, "history"]
    a, std = sde.transition(f64(0.3), f64(0.4))
    reverse = Reverse(sde, Gaussian().score(sde))
    up, carry = TimeTravel(DDIM()).step(reverse, x, f64(0.3), f64(0.4), lambda x: z, "history")
    assert torch.allclose(up, a * x + std * z, atol=1e-12) and carry is None
    assert torch.equal(states[2], x) and not torch.equal(states[3], x)
