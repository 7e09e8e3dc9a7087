"""Few guided steps: the exact quadratic energy, stability, and 25 evaluations within a percent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from egsde.energies import During, Guided, LowPassL2, guided
from egsde.linear.quadratic import QuadraticPart
from egsde.methods.diffusion import Diffusion
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import EulerMaruyama
from egsde.solvers.exponential.sa_solver import SASolver
from egsde.solvers.guided_adams import GuidedAdams
from egsde.source import Source
from problems import Gaussian, Impulses, Mixture, SquaredDistance, f64
from shared import shared_path


@dataclass(frozen=True)
class Pull(SquaredDistance):
    """weight ||y - x_t||^2 that says so."""

    def quadratic(self, source):
        return QuadraticPart(f64(2 * self.weight), source.mean_parts)


def source_of(x0):
    return Source(x0, VP(), Noise(0, ["a"]))


def moments(solver, grid, weight: float, rows: int = 120) -> tuple[float, float]:
    """Of the recorded problem: data N(-0.5, 0.25), source 1, from M = 0.5, expected noise."""
    sde, noise = VP(), Impulses(rows)
    score = Gaussian(-0.5, 0.25).score(sde)
    sampler = Sampler(solver, grid, denoise=True)
    translator = Diffusion(
        Guided(score, Pull(weight)), sampler, t_start=0.5, source_noise="expectation"
    )
    return noise.moments(translator(noise.images(1.0), noise))


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_25_evaluations_are_within_a_percent(weight):
    """Mean and variance of guided EGSDE, against the limit of infinitely many steps."""
    oracle = np.load(shared_path("oracles/egsde_fewstep_gaussian.npz"))
    exact = oracle["ref"][np.flatnonzero(oracle["lam"] == weight)[0]]
    steps = LogSNR(48, shift=0.02)  # 24 from M = 0.5, and the last denoising
    reached = moments(GuidedAdams(), steps, weight)
    assert np.abs(np.divide(reached, exact) - 1).max() < 0.01


@pytest.mark.parametrize("weight", [pytest.param(0.5, marks=pytest.mark.slow), 2.0])
def test_guided_weak_order(weight):
    """The error falls with the square of the steps, guided as unguided."""
    exact = moments(GuidedAdams(), LogSNR(800), weight, rows=500)
    errors = [moments(GuidedAdams(), LogSNR(n), weight, rows=300)[1] - exact[1] for n in (100, 200)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.3)


def test_first_order_steps_leave_variance_out():
    """What `egsde_fast` does: too little of it, less the more steps, at an error of order one."""
    exact = moments(GuidedAdams(), LogSNR(800), 0.5, rows=500)
    first = GuidedAdams(order=1, corrector=0)
    errors = [moments(first, LogSNR(n), 0.5, rows=300)[1] - exact[1] for n in (24, 100, 200)]
    assert errors[0] < errors[1] < errors[2] < 0
    assert math.log2(errors[1] / errors[2]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("solver", [GuidedAdams(), GuidedAdams(order=1, corrector=0)], ids=repr)
def test_any_curvature_is_stable(solver):
    """Where Euler-Maruyama overflows, the image follows the source, more the stiffer."""
    runs = [moments(solver, LogSNR(20), weight) for weight in (1.0, 1e2, 1e4)]
    away = [abs(1 - mean) for mean, _ in runs]
    assert away[0] > away[1] > away[2] and away[2] < 0.05
    assert all(variance < 0.25 for _, variance in runs)
    assert moments(EulerMaruyama(), LogSNR(20), 1e4)[1] > 1e6


@pytest.mark.parametrize("weight", [1e2, 1e4, 1e6])
def test_a_stiff_mode_follows_its_centre_through_the_whole_walk(weight):
    sampler, x0 = (
        Sampler(GuidedAdams(1, 0), LogSNR(20), denoise=False),
        torch.ones(1, 1, 8, 8, dtype=torch.float64),
    )
    walk = Diffusion(
        Guided(Gaussian().score(VP()), weight * LowPassL2(4)), sampler, t_start=0.5,
        source_noise="expectation",
    ).trajectory(x0, Noise(0, ["a"]))  # fmt: skip
    away = [float(LowPassL2(4)(y, t, Source(y * 0 + x0, VP(), Noise(0, ["a"]), mode="expectation")))
            for _, t, y in walk]  # fmt: skip
    assert max(away[1:]) < 10 / weight * 4


@pytest.mark.parametrize("solver", [GuidedAdams(), GuidedAdams(order=1, corrector=0)], ids=repr)
def test_a_part_of_the_times_is_as_stable(solver):
    sampler, x0 = (
        Sampler(solver, LogSNR(20), denoise=False),
        torch.ones(1, 1, 8, 8, dtype=torch.float64),
    )
    stiff, noise = 1e4 * LowPassL2(4), Noise(0, ["a"])

    def made(energy):
        score = guided(Gaussian().score(VP()), energy)
        return Diffusion(score, sampler, t_start=0.5)(x0, noise)

    assert torch.equal(made(During(stiff)), made(stiff))
    assert (made(During(stiff, t_lo=0.6)) - made(None)).abs().max() < 1e-9
    low = [LowPassL2(4)(made(During(stiff, t_lo=t)), f64(0.0), source_of(x0)) for t in (0.1, 0.4)]
    assert low[0] < low[1] < LowPassL2(4)(made(None), f64(0.0), source_of(x0))


@pytest.mark.parametrize("sde", [VP(), DDPM()], ids=repr)
def test_without_energy_it_is_the_stochastic_adams_solver(sde):
    score, x = Mixture().score(sde), torch.linspace(-2, 2, 48, dtype=torch.float64).view(1, 3, 4, 4)
    runs = []
    for solver in (GuidedAdams(3, 3), SASolver(3, corrector=3)):
        sampler = Sampler(solver, LogSNR(12), denoise=False)
        runs.append(sampler.run(Reverse(sde, score), x, sampler.times(sde, 1.0), Noise(1, ["a"])))
    assert (runs[0] - runs[1]).abs().max() < 1e-9


def test_the_low_pass_energy_is_its_spring():
    source = Source(torch.randn(2, 3, 8, 16, dtype=torch.float64), VP(), Noise(0, ["a", "b"]))
    y, t, energy = torch.randn(2, 3, 8, 16, dtype=torch.float64), f64(0.4), 3.0 * LowPassL2(4)
    quadratic = energy.quadratic(source)
    clean, eps = quadratic.centre(t)
    centre = VP().alpha(t) * clean + VP().sigma(t) * eps
    assert torch.allclose(centre, source.at(t), rtol=1e-12)
    assert torch.allclose(
        quadratic.grad(y, centre), energy.grad(y, t, source), rtol=1e-9, atol=1e-12
    )
    value = 0.5 * (quadratic.rate * quadratic.modes(y - centre).square()).flatten(1).sum(1)
    assert torch.allclose(value, energy(y, t, source), rtol=1e-9)
