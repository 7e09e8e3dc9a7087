"""Algorithms as their papers write them, one loop each, against the general loop with its parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from egsde.methods import algorithm_1, egsde
from egsde.noise import Noise
from egsde.sampling import LogSNR, Sampler, Uniform
from egsde.sde import DDPM, NCSN, SDE, VE, VP, Reverse, SubVP
from egsde.solvers import (
    DDIM,
    DPMSolverPP,
    DPMSolverPP2M,
    EulerMaruyama,
    Langevin,
    PredictorCorrector,
    ReverseDiffusion,
    UniPC,
)
from egsde.solvers.exponential import bh1, bh2
from egsde.solvers.exponential.unipc_plain import PlainUniPC, b1
from problems import Mixture, SquaredDistance

NOISE = Noise(3, ["a", "b"])
X = torch.linspace(-1, 1, 24, dtype=torch.float64).view(2, 3, 2, 2)
PROCESSES = [VP(), SubVP(), VE(), DDPM(), NCSN()]


def sampled(sampler: Sampler, sde: SDE, x: Tensor) -> Tensor:
    reverse = Reverse(sde, Mixture().score(sde))
    return sampler.run(reverse, x, sampler.times(sde, sde.T), NOISE)


@pytest.mark.parametrize("sde", [VP(), VP(t_min=0.0), SubVP(), VE()], ids=repr)
def test_algorithm_1_is_egsde(sde):
    score, energy = Mixture().score(sde), SquaredDistance(0.7)
    sampler = Sampler(EulerMaruyama(), Uniform(100), denoise=False)
    ours = egsde(score, sampler, energy, 0.5, source_noise="fresh")(X, NOISE)
    plain = algorithm_1(score, energy, X, NOISE, t_start=0.5, steps=50)
    assert (ours - plain).abs().max() < 1e-12 * plain.abs().max()
    assert (plain - algorithm_1(score, 0 * energy, X, NOISE, 0.5, 50)).abs().max() > 0.01


@pytest.mark.parametrize("sde", PROCESSES, ids=repr)
def test_2m_is_the_second_of_its_family(sde):
    x = sde.sigma(torch.tensor(sde.T, dtype=torch.float64)) * X
    plain, family = (
        sampled(Sampler(solver, LogSNR(20), denoise=True), sde, x)
        for solver in (DPMSolverPP2M(), DPMSolverPP(order=2))
    )
    assert (plain - family).abs().max() < 1e-13 * family.abs().max()
    other = sampled(Sampler(DPMSolverPP(order=1), LogSNR(20), denoise=True), sde, x)
    assert (plain - other).abs().max() > 1e-6


@pytest.mark.parametrize("sde", PROCESSES, ids=repr)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("b", "moments"), [(b1, bh1), (torch.expm1, bh2)], ids=["bh1", "bh2"])
def test_unipc_is_its_algorithms_5_to_8(sde, order, b, moments):
    x = sde.sigma(torch.tensor(sde.T, dtype=torch.float64)) * X
    plain, family = (
        sampled(Sampler(solver, LogSNR(20), denoise=True), sde, x)
        for solver in (PlainUniPC(order, b), UniPC(order, moments=moments))
    )
    assert (plain - family).abs().max() < 1e-11 * family.abs().max()
    other = sampled(Sampler(DPMSolverPP(order), LogSNR(20), denoise=True), sde, x)
    assert (plain - other).abs().max() > 1e-6


@pytest.mark.parametrize("sde", [VP(), DDPM(), VE()], ids=repr)
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_is_its_equation_12(sde, eta):
    """x_s = alpha_s x0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z with v as in its eq. 16."""
    sampler = Sampler(DDIM(eta), Uniform(10), denoise=False)
    times = sampler.times(sde, sde.T)
    x = x_T = sde.sigma(times[0]) * X
    score = Mixture().score(sde)
    for i, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
        r_t, r_s = (sde.sigma(u).square() / sde.alpha(u).square() for u in (t, s))
        v = (eta * sde.alpha(s)).square() * r_s * (1 - r_s / r_t)
        eps = -sde.sigma(t) * score(x, t)
        x0 = (x - sde.sigma(t) * eps) / sde.alpha(t)
        x = sde.alpha(s) * x0 + (sde.sigma(s).square() - v).clamp(min=0).sqrt() * eps
        x = x + v.sqrt() * NOISE.stream(f"step/{i}")(x)
    assert (sampled(sampler, sde, x_T) - x).abs().max() < 1e-9 * x.abs().max()


def test_pc_is_algorithm_2():
    """VE as a chain (Song 2021, algorithm 2): sigma^2 differences, then a Langevin step."""
    sde, r = NCSN(), 0.16
    sampler = Sampler(
        PredictorCorrector(ReverseDiffusion(), Langevin(r)), Uniform(1000), denoise=False
    )
    score, levels = Mixture().score(sde), sampler.times(sde, 1.0)[:41]
    x = x_T = sde.sigma(levels[0]) * X
    for i, (t, s) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        z = NOISE.stream(f"step/{i}")
        variance = sde.sigma(t).square() - sde.sigma(s).square()
        x = x + variance * score(x, t) + variance.sqrt() * z(x)
        g, noise = score(x, s), z(x)
        norms = (v.flatten(1).norm(dim=1).view(-1, 1, 1, 1) for v in (noise, g))
        e = 2 * (r * next(norms) / next(norms)).square()
        x = x + e * g + (2 * e).sqrt() * noise
    ours = sampler.run(Reverse(sde, score), x_T, levels, NOISE)
    assert (ours - x).abs().max() < 1e-12 * x.abs().max()
