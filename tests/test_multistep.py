"""Exponential solvers: the official code's numbers, orders, identities between methods."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from egsde.methods import egsde
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler, Walk
from egsde.sde import DDPM, EDM, NCSN, VE, VP, Reverse, SubVP
from egsde.solvers import (
    DDIM,
    RK45,
    Ancestral,
    DPMSolver,
    DPMSolverPP,
    DPMSolverPPSingle,
    DPMSolverSingle,
    EulerMaruyama,
    SASolver,
    SDEDPMSolverPP,
    TimeTravel,
    UniPC,
)
from egsde.solvers.exponential.dpm_solver_single import even_log_snr, even_time
from egsde.solvers.exponential.forms import adams, bh1, dpm
from problems import Gaussian, Impulses, Mixture, RecordedMixture, SquaredDistance, f64, named
from shared import shared_path

PROCESSES = [VP(), SubVP(), VE(), EDM(), DDPM(), NCSN()]
FAMILY = [
    DPMSolverPP(3, moments=adams), DPMSolver(2), DPMSolverPPSingle(2), SDEDPMSolverPP(2),
    UniPC(3), SASolver(),
]  # fmt: skip


def run(solver, sde, score, x, times) -> torch.Tensor:
    return Sampler(solver, LogSNR(1), denoise=False).run(
        Reverse(sde, score), x, times, Noise(3, list("abcdefgh"[: len(x)]))
    )


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "multi", "single"),
    [
        ("dpmsolver", DPMSolver, DPMSolverSingle),
        ("dpmsolver++", DPMSolverPP, DPMSolverPPSingle),
    ],
)
def test_equal_the_official_code(name, multi, single, order):
    """Runs of n evaluations; single steps spend the rest of n / order in the last."""
    oracle = np.load(shared_path("oracles/dpm_solver_vp.npz"))
    sde, x = VP(), torch.tensor(oracle["init"])
    score, reference = RecordedMixture().score(sde), oracle[f"{name}_ref3000"]
    for steps in (10, 20):
        full, rest = divmod(steps, order)
        spent = [order] * full + [rest] * (rest > 0)
        ends = np.cumsum([0, *spent])
        for grid, outer, stages in [
            ("logSNR", LogSNR(len(spent)).times(sde, 1.0), even_log_snr),
            ("time_uniform", Uniform(steps).times(sde, 1.0)[ends], even_time),
        ]:
            inner = (LogSNR if grid == "logSNR" else Uniform)(steps).times(sde, 1.0)
            stepping = single(order, last=tuple(spent[full:]), stages=stages)
            for kind, y in [
                ("multistep", run(multi(order), sde, score, x, inner)),
                ("singlestep", run(stepping, sde, score, x, outer)),
            ]:
                assert (
                    np.abs(y.numpy() - oracle[f"{name}_{kind}_{order}_{grid}_{steps}"]).max() < 1e-9
                )
                if grid == "logSNR" and steps == 20:
                    assert (
                        np.sqrt(np.square(y.numpy() - reference).mean())
                        < (0.06, 0.04, 0.02)[order - 1]
                    )


@cache
def fine():
    """A start at t = 1 and where the mixture's flow takes it."""
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    reverse = Reverse(VP(), RecordedMixture().score(VP()))
    return x, RK45(1e-9, 1e-9).step(reverse, x, f64(1.0), f64(1e-3), torch.zeros_like)[0]


def mixture_error(solver, steps: int) -> float:
    sde, (x, exact) = VP(), fine()
    y = run(solver, sde, RecordedMixture().score(sde), x, LogSNR(steps).times(sde, 1.0))
    return float((y - exact).square().mean().sqrt())


def flow(sde, start: float, x: torch.Tensor) -> torch.Tensor:
    """The exact flow of Gaussian data from start to t_min."""
    (m_t, v_t), (m_s, v_s) = (Gaussian().moments(sde, f64(t)) for t in (start, sde.t_min))
    return m_s + (v_s / v_t).sqrt() * (x - m_t)


ODE_SOLVERS = [
    DPMSolverPP(1), DPMSolverPP(2), DPMSolverPP(3), DPMSolverPP(2, moments=adams),
    DPMSolverPP(3, moments=adams), DPMSolver(2), DPMSolverPPSingle(2), DPMSolverPPSingle(3),
    DPMSolverSingle(2), DPMSolverSingle(3), UniPC(1), UniPC(2), UniPC(2, moments=bh1), UniPC(3),
    SASolver(2, corrector=3, tau=0), SASolver(1, corrector=2, tau=0), SASolver(3, tau=0),
]  # fmt: skip
FASTER = [DPMSolverPP(3, moments=adams), UniPC(3), SASolver(3, tau=0)]  # at these steps


BOTH = [
    DPMSolverPPSingle(3),
    DPMSolverSingle(2),
    DPMSolverSingle(3),
]  # test_orders has them, in even time


@pytest.mark.parametrize(
    "solver",
    [pytest.param(s, marks=pytest.mark.slow) if s in BOTH else s for s in ODE_SOLVERS],
    ids=named,
)
def test_declared_orders_on_a_mixture(solver):
    slope = np.log2(mixture_error(solver, 40) / mixture_error(solver, 80))
    assert slope > solver.weak_order - 0.1
    assert slope < solver.weak_order + 0.1 or solver in FASTER


@pytest.mark.parametrize("solver", [DPMSolverPP(2), DPMSolver(2), UniPC(2)], ids=named)
def test_declared_orders_on_gaussian_data(solver):
    sde, x, errors = VP(), torch.full((1, 1, 1, 1), 1.3, dtype=torch.float64), []
    for steps in (40, 80):
        y = run(solver, sde, Gaussian().score(sde), x, LogSNR(steps).times(sde, 1.0))
        errors.append(float((y - flow(sde, 1.0, x)).abs()))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(solver.weak_order, abs=0.1)


def moments_error(solver, sde, start: float, steps: int) -> np.ndarray:
    problem, noise = Gaussian(), Impulses(steps + 4)
    mean, variance = problem.moments(sde, f64(start))
    x = mean + variance.sqrt() * noise.stream("start")(noise.images(0.0))
    times = LogSNR(round(steps / float(sde.fraction(f64(start))))).times(sde, start)
    y = Sampler(solver, LogSNR(1), denoise=False).run(
        Reverse(sde, problem.score(sde)), x, times, noise
    )
    exact = [float(m) for m in problem.moments(sde, times[-1])]
    return np.subtract(noise.moments(y), exact)


@pytest.mark.parametrize(
    "solver",
    [SDEDPMSolverPP(1), SDEDPMSolverPP(2), SDEDPMSolverPP(3), SASolver(), SASolver(1, corrector=1)],
    ids=named,
)
def test_weak_orders_of_stochastic_solvers(solver):
    """The mean is exact at every step size, as DDIM's; the variance has the declared order."""
    errors = [moments_error(solver, VP(), 0.5, steps) for steps in (40, 80)]
    assert np.abs(errors)[:, 0].max() < 1e-12
    assert np.log2(errors[0][1] / errors[1][1]) == pytest.approx(solver.weak_order, abs=0.12)


def test_few_guided_steps_equal_recorded_moments():
    """EGSDE from 0.5 with the energy's expected gradient, unguided and guided, by every solver."""
    oracle = np.load(shared_path("oracles/egsde_fewstep_gaussian.npz"))
    score, compared = Gaussian(-0.5).score(VP()), 0
    for weight, method, steps, mean, variance in zip(
        *(oracle[key] for key in ("lam", "method", "N", "mean", "var")), strict=True
    ):
        if steps > 50:
            continue
        grid = (LogSNR if "lam" in method else Uniform)(2 * int(steps))
        order = 1 if "++1" in method else 2
        solver = EulerMaruyama() if method.startswith("EM") else SDEDPMSolverPP(order)
        sampler, noise = Sampler(solver, grid, denoise=True), Impulses(int(steps) + 4)
        energy = SquaredDistance(float(weight))
        translate = egsde(score, sampler, energy, source_noise="expectation")
        reached = noise.moments(translate(noise.images(1.0), noise))
        assert np.allclose(reached, (mean, variance), rtol=1e-9), (weight, method, steps)
        compared += 1
    assert compared > 20


def test_few_steps_equal_recorded_moments():
    """From N(0, 1), without a last denoising."""
    sde = VP()
    oracle = np.load(shared_path("oracles/fewstep_gaussian_vp.npz"))
    row = list(oracle["methods"]).index("dpmpp2m_lam")
    for s2 in ("0.25", "0.04", "0.0025"):
        for steps in (5, 10, 20):
            noise, reverse = Impulses(4), Reverse(sde, Gaussian(0.5, float(s2)).score(sde))
            x, times = noise.stream("s")(noise.images(0.0)), LogSNR(steps).times(sde, 1.0)
            y = Sampler(DPMSolverPP(2), LogSNR(1), denoise=False).run(reverse, x, times, noise)
            assert np.allclose(noise.moments(y), oracle[f"s2_{s2}_N{steps}"][row], rtol=1e-7)


@pytest.mark.parametrize("sde", PROCESSES, ids=named)
def test_every_process_from_any_start(sde):
    """Near the exact flow, or moments, from T and from within; chains into clean data."""
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).view(2, 3, 1, 1)
    for start in (sde.T, sde.T / 2):
        start_x = x * sde.sigma(f64(start))
        times, score = (
            LogSNR(round(20 / float(sde.fraction(f64(start))))).times(sde, start),
            Gaussian().score(sde),
        )
        for solver in FAMILY:
            if solver.strong_order == 1.0:
                error = moments_error(solver, sde, start, 20)
            else:
                error = run(solver, sde, score, start_x, times) - flow(sde, start, start_x)
            assert np.abs(np.asarray(error)).max() < 0.04
        fast = run(solver, sde, score, start_x.float(), times)
        assert fast.dtype == torch.float32
        assert (fast - run(solver, sde, score, start_x, times)).abs().max() > 0


@pytest.mark.parametrize("sde", PROCESSES, ids=named)
def test_identities(sde):
    """Order 1 is DDIM or ancestral sampling; without corrector SA-Solver is the DPM family."""
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).view(1, 3, 2, 2) * sde.sigma(f64(sde.T))
    times, score = LogSNR(9).times(sde, sde.T), Mixture().score(sde)
    for one, other in [
        (DPMSolverPP(1), DDIM()),
        (DPMSolver(1), DDIM()),
        (DPMSolverPPSingle(1), DDIM()),
        (SDEDPMSolverPP(1), Ancestral()),
        (SDEDPMSolverPP(1), DDIM(eta=1.0)),
        (SASolver(3, tau=0, corrector=0), DPMSolverPP(3, moments=adams)),
        (SASolver(2, corrector=0, moments=dpm), SDEDPMSolverPP(2)),
        (SASolver(3, tau=0, corrector=4, moments=UniPC(3).moments), UniPC(3)),
        (SASolver(t_low=math.inf), SASolver(tau=0)),
    ]:
        ends = [run(solver, sde, score, x, times) for solver in (one, other)]
        assert (ends[0] - ends[1]).abs().max() < 1e-9


@pytest.mark.parametrize("solver", FAMILY, ids=named)
def test_runs_do_not_share_anything_and_turns_forget(solver):
    sde, noise = VP(), Noise(1, ["a"])
    reverse, x = Reverse(sde, Mixture().score(sde)), torch.ones(1, 3, 2, 2, dtype=torch.float64)
    sampler = Sampler(solver, LogSNR(6), denoise=False)
    times = sampler.times(sde, 1.0)
    one, other = (Walk(sampler, reverse, times, noise).trajectory(start) for start in (x, -x))
    together = [pair[0][2] for pair in zip(one, other, strict=True)]
    assert torch.equal(together[-1], sampler.run(reverse, x, times, noise))
    turning, turner = (
        torch.cat([times[:5], times[2:]]),
        Sampler(TimeTravel(solver), LogSNR(6), denoise=False),
    )
    states = list(Walk(turner, reverse, turning, noise).trajectory(x))
    if solver.strong_order != 1.0:  # the last leg is a run of its own
        assert torch.equal(states[-1][2], sampler.run(reverse, states[5][2], times[2:], noise))


def test_last_orders_of_a_run():
    sde = VP()
    reverse, x = Reverse(sde, Mixture().score(sde)), torch.ones(1, 3, 2, 2, dtype=torch.float64)
    sampler = Sampler(DPMSolverPP(3, last=[2, 1]), LogSNR(6), denoise=False)
    times = sampler.times(sde, 1.0)
    states = [state for _, _, state in Walk(sampler, reverse, times, Noise(0, ["a"])).trajectory(x)]
    last, _ = DDIM().step(reverse, states[-2], times[-2], times[-1], torch.zeros_like)
    assert torch.allclose(states[-1], last, rtol=1e-12)
    plain, carry = DPMSolverPP(2), None
    for t, s, state in zip(times[3:5], times[4:6], states[3:5], strict=True):
        second, carry = plain.step(reverse, state, t, s, torch.zeros_like, carry)
    assert torch.allclose(states[5], second, rtol=1e-12)


@pytest.mark.parametrize("wrong", [{"order": 4}, {"order": 0}, {"order": 2, "last": (5,)}])
def test_impossible_orders_say_so(wrong):
    with pytest.raises(ValueError, match="1, 2"):
        DPMSolverPP(**wrong)
