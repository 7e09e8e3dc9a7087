"""One-step solvers of the reverse SDE: weak orders exactly on Gaussian data, strong orders on one
Brownian path walked in fine and coarse steps, and Milstein's correction."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from egsde.noise import Noise, Replay
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, EDM, NCSN, VE, VP, Reverse, SubVP
from egsde.solvers import (
    DDIM,
    SRK,
    Ancestral,
    EulerMaruyama,
    HeunSDE,
    ReverseDiffusion,
)
from problems import Gaussian, Impulses, Mixture, f64
from shared import shared_path

SDES = [VP(), SubVP(), VE(), EDM(), DDPM(), NCSN()]


def weak_errors(solver, sde, steps: int) -> np.ndarray:
    """Errors of mean and variance at the end, from the exact marginal at T, without sampling."""
    problem, noise = Gaussian(), Impulses(2 * steps + 2)
    mean, variance = problem.moments(sde, f64(sde.T))
    start = mean + variance.sqrt() * noise.stream("start")(noise.images(0.0))
    sampler = Sampler(solver, Uniform(steps), denoise=False)
    times = sampler.times(sde, sde.T)
    reached = noise.moments(sampler.run(Reverse(sde, problem.score(sde)), start, times, noise))
    return np.subtract(reached, [float(m) for m in problem.moments(sde, times[-1])])


def test_stochastic_heun_has_the_recorded_errors():
    oracle = np.load(shared_path("oracles/weak_order_gaussian_vp.npz"))
    for steps, recorded in zip(oracle["N"][:4], oracle["heun_sde"], strict=False):
        errors = weak_errors(HeunSDE(), VP(), int(steps))
        assert np.allclose(errors, recorded, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize("sde", [VP(), SubVP()], ids=["vp", "subvp"])
@pytest.mark.parametrize(
    "solver",
    [EulerMaruyama(), ReverseDiffusion(), ReverseDiffusion(eta=0.0), HeunSDE(), SRK()],
    ids=["em", "reverse_diffusion", "flow", "heun", "srk"],
)
def test_weak_order(solver, sde):
    """Mean and variance of Gaussian data converge at the declared order."""
    coarse, fine = weak_errors(solver, sde, 200), weak_errors(solver, sde, 400)
    slopes = np.log2(np.abs(coarse / fine))
    assert slopes.min() == pytest.approx(solver.weak_order, abs=0.15)


@cache
def path_to(start: float, end: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The path that all walks from start to end share, in FINEST steps, for 2000 points."""
    return path(FINEST, torch.zeros(2000, 1, 1, 1, dtype=torch.float64), start - end)


def path(count: int, like: torch.Tensor, span: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Increments W and time averages I = h^(-1) int (W_u - W_0) du of `count` steps."""
    stream, h = Noise(0, ["path"] * 1).stream("path"), span / count
    z = stream(like.expand(1, 2 * count, *like.shape)).unflatten(1, (2, count))[0]
    return h**0.5 * z[0], 0.5 * h**0.5 * (z[0] + z[1] / math.sqrt(3))


def coarser(w: torch.Tensor, i: torch.Tensor, merge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Increments and averages of the same path in steps `merge` times as long."""
    w, i = w.unflatten(0, (-1, merge)), i.unflatten(0, (-1, merge))
    before = w.cumsum(1) - w
    return w.sum(1), (before + i).mean(1)


FINEST = 1024


def walk(solver, sde, span, count: int) -> torch.Tensor:
    """The end of a mixture's reverse SDE in `count` steps, driven by the path of FINEST steps."""
    start, end = span
    x = torch.linspace(-2, 2, 2000, dtype=torch.float64).view(-1, 1, 1, 1) * sde.sigma(f64(start))
    h = (start - end) / count
    dw, average = coarser(*path_to(*span), FINEST // count)
    z = torch.stack([dw / h**0.5, math.sqrt(3) * (2 * average - dw) / h**0.5], 1)
    noise = Replay({f"step/{k}": list(z[k]) for k in range(count)})
    times = torch.linspace(start, end, count + 1, dtype=torch.float64)
    return Sampler(solver, grid=None, denoise=False).run(
        Reverse(sde, Mixture(0.25).score(sde)), x, times, noise
    )


@cache
def finest_walk(sde, span) -> torch.Tensor:
    return walk(SRK(), sde, span, FINEST)


@pytest.mark.parametrize(
    ("sde", "span"),
    [
        pytest.param(VP(), (0.6, 0.1), marks=pytest.mark.slow),  # test_orders has VP and VE
        (SubVP(), (0.6, 0.1)),
        pytest.param(VE(), (0.5, 0.1), marks=pytest.mark.slow),
    ],
    ids=["vp", "subvp", "ve"],
)
@pytest.mark.parametrize(
    "solver",
    [EulerMaruyama(), ReverseDiffusion(), Ancestral(), DDIM(eta=1.0), HeunSDE(), SRK()],
    ids=["em", "reverse_diffusion", "ancestral", "ddim", "heun", "srk"],
)
def test_strong_order(solver, sde, span):
    """Ends of one path in coarse steps near its end in fine ones at the declared order."""
    fine = finest_walk(sde, span)
    errors = [(walk(solver, sde, span, n) - fine).abs().mean() for n in (64, 256)]
    slope = math.log2(errors[0] / errors[1]) / 2
    assert slope == pytest.approx(solver.strong_order, abs=0.1)


def milstein_step(drift, diffusion, x, h, dw):
    """x + a h + b dW + 1/2 b db/dx (dW^2 - h), db/dx by autograd, and the last term alone."""
    x = x.detach().requires_grad_()
    b = diffusion(x)
    slope = torch.autograd.grad(b.sum(), x)[0]
    term = 0.5 * b * slope * (dw.square() - h)
    return (x + drift(x) * h + b * dw + term).detach(), term.detach()


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_milstein_is_euler_maruyama(sde):
    """The diffusion of every process depends on time alone: the correction is zero."""
    x, z = Noise(1, ["x", "z"]).stream("x")(torch.zeros(2, 3, 4, 4, dtype=torch.float64))[:, None]
    t, s = f64(0.5 * sde.T), f64(0.499 * sde.T)
    reverse = Reverse(sde, Mixture().score(sde))
    ours, _ = EulerMaruyama().step(reverse, x, t, s, lambda x: z)
    milstein, term = milstein_step(
        lambda x: -reverse.drift(x, t),
        lambda x: sde.diffusion(t) + 0 * x,
        x,
        t - s,
        (t - s).sqrt() * z,
    )
    assert not term.any()
    assert torch.allclose(milstein, ours, rtol=1e-12)


def test_milstein_gains_where_noise_is_multiplicative():
    """dx = x dW: strong order 1 against Euler--Maruyama's 1/2 (exact x = exp(W - t / 2))."""
    w = path(512, torch.zeros(4000, dtype=torch.float64), 1.0)[0]
    exact = (w.sum(0) - 0.5).exp()
    errors = {}
    for count in (16, 64, 256):
        euler = milstein = torch.ones_like(exact)
        for dw in w.unflatten(0, (count, -1)).sum(1):
            euler = euler + euler * dw
            milstein, _ = milstein_step(torch.zeros_like, lambda x: x, milstein, 1 / count, dw)
        errors[count] = [float((x - exact).square().mean().sqrt()) for x in (euler, milstein)]
    slopes = np.log2(np.divide(errors[16], errors[256])) / 4
    assert slopes == pytest.approx([0.5, 1.0], abs=0.12)


def test_srk_noise_has_the_moments_of_a_brownian_path():
    """Merged fine steps and one coarse step: E W^2 = h, E W I = h / 2, E I^2 = h / 3."""
    w, i = coarser(*path(64, torch.zeros(20000, dtype=torch.float64), 1.0), 64)
    found = [float((a * b).mean()) for a, b in ((w, w), (w, i), (i, i))]
    assert found == pytest.approx([1, 1 / 2, 1 / 3], abs=0.03)


@pytest.mark.parametrize("solver", [ReverseDiffusion(), HeunSDE()], ids=["rd", "heun"])
@pytest.mark.parametrize("sde", [DDPM(), NCSN()], ids=repr)
def test_the_step_into_clean_data_is_noiseless(sde, solver):
    x = torch.linspace(-1, 1, 48, dtype=torch.float64).view(1, 3, 4, 4)
    reverse = Reverse(sde, Gaussian().score(sde))
    t, s = f64(sde.t_noisy), f64(0.0)
    quiet, _ = solver.step(reverse, x, t, s, torch.zeros_like)
    noisy, _ = solver.step(reverse, x, t, s, torch.ones_like)
    assert torch.equal(quiet, noisy)
    assert torch.allclose(quiet, reverse.x0(x, t), atol=1e-3)


@pytest.mark.parametrize("sde", [DDPM(), NCSN()], ids=repr)
def test_srk_says_why_it_cannot_walk_a_chain(sde):
    with pytest.raises(ValueError, match="between levels.*HeunSDE"):
        Sampler(SRK(), Uniform(100), denoise=False).times(sde, 1.0)


def test_images_keep_their_type():
    x = torch.linspace(-1, 1, 48).view(1, 3, 4, 4)
    reverse = Reverse(VP(), Gaussian().score(VP()))
    for solver in (ReverseDiffusion(), HeunSDE(), SRK()):
        x_s, carry = solver.step(reverse, x, f64(0.5), f64(0.4), torch.ones_like)
        assert x_s.dtype == torch.float32 and carry is None
