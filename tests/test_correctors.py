"""Correctors: stationary laws on Gaussian data, weights of a mixture, and their samplers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from egsde.noise import Noise
from egsde.programs.cli import CONF
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, EDM, NCSN, VE, VP, Reverse, SubVP, geometric_sigmas
from egsde.solvers import (
    SRK,
    AnnealedLangevin,
    EulerMaruyama,
    Langevin,
    PredictorCorrector,
    ReverseDiffusion,
)
from egsde.solvers.annealed_langevin import ncsn_snr
from egsde.solvers.langevin import batch_mean
from problems import Gaussian, Impulses, Mixture, f64

T, S = f64(0.5), f64(0.499)


@pytest.mark.parametrize("snr", [0.08, 0.16, 0.5])
@pytest.mark.parametrize("sde", [VE(0.1, 10.0), VP()], ids=["ve", "vp"])
def test_fixed_steps_settle_at_the_known_variance(sde, snr):
    """x + e score + sqrt(2 e) z settles at v / (1 - e / (2 v)), on p_t = N(m, v), exactly.

    NCSN writes e = alpha / 2: v / (1 - alpha / (4 v)).
    """
    problem, corrector = Gaussian(variance=0.01), AnnealedLangevin(snr)
    mean, v = (float(m) for m in problem.moments(sde, T))
    a = float(sde.transition(S, T)[0])
    e = 2 * a**2 * (snr * float(sde.sigma(T))) ** 2
    steps = math.ceil(15 * v / e)
    noise = Impulses(steps + 2)
    x, randn = noise.images(3.0), noise.stream("steps")
    for _ in range(steps):
        x, _ = corrector.step(Reverse(sde, problem.score(sde)), x, T, S, randn)
    settled_mean, settled = noise.moments(x)
    assert settled_mean == pytest.approx(mean, abs=1e-5)
    assert settled == pytest.approx(v / (1 - e / (2 * v)), rel=1e-9)


@pytest.mark.parametrize("sde", [VE(), VP(), SubVP(), DDPM(), NCSN(), EDM()], ids=repr)
@pytest.mark.parametrize("snr", [0.02, 0.16, 0.5])
def test_the_snr_rule_is_too_wide_by_a_known_factor(sde, snr):
    """In many pixels it settles at v (1 + a^2 r^2): invariant as r -> 0, 1.0256 v at 0.16 (VE)."""
    t, s = f64(0.5 * sde.T), f64(0.499 * sde.T)
    reverse, corrector = Reverse(sde, Gaussian().score(sde)), Langevin(snr)
    mean, v = Gaussian().moments(sde, t)
    factor = 1 + float(sde.transition(s, t)[0]) ** 2 * snr**2
    stream = Noise(0, ["a"]).stream("x")

    def randn(x):
        return stream(x[None])[0]

    x = mean + (factor * v).sqrt() * randn(torch.empty(64, 2, 32, 32, dtype=torch.float64))
    found = []
    for k in range(30):
        x, _ = corrector.step(reverse, x, t, s, randn)
        if k % 5 == 4:
            found.append(float((x - mean).square().mean() / v))
    assert np.mean(found) == pytest.approx(factor, abs=0.004)


def test_the_snr_rule_falls_to_its_variance_from_any_other():
    """From 3 v at r = 0.5 the variance goes to 1.25 v in a few steps."""
    sde, t, s = VE(), f64(0.5), f64(0.499)
    reverse = Reverse(sde, Gaussian().score(sde))
    mean, v = Gaussian().moments(sde, t)
    stream = Noise(0, ["a"]).stream("x")
    x = mean + (3 * v).sqrt() * stream(torch.empty(1, 64, 32, 32, dtype=torch.float64))
    for _ in range(30):
        x, _ = Langevin(0.5).step(reverse, x, t, s, stream)
    assert float((x - mean).square().mean() / v) == pytest.approx(1.25, abs=0.02)


def test_norms_are_per_image_unless_asked():
    """An image's correction does not depend on the batch; score_sde's batch means do."""
    sde, x = VP(), torch.linspace(-2, 3, 96, dtype=torch.float64).view(2, 3, 4, 4)
    reverse = Reverse(sde, Mixture().score(sde))
    z = (5 * x).sin()
    for norm, couples in ((Langevin().norm, False), (batch_mean, True)):
        both, _ = Langevin(norm=norm).step(reverse, x, T, S, lambda x: z)
        alone, _ = Langevin(norm=norm).step(reverse, x[:1], T, S, lambda x: z[:1])
        assert torch.equal(both[:1], alone) is not couples


def test_ncsn_steps():
    """Both papers' updates at every level: alpha_i = eps sigma_i^2 / sigma_min^2."""
    sde = NCSN(geometric_sigmas(10, 0.01, 1.0))
    x, z = torch.linspace(-2, 2, 24, dtype=torch.float64).view(2, 1, 3, 4, 1).unbind(0)
    reverse = Reverse(sde, Mixture().score(sde))
    for level in (1, 5, 10):
        t, s = f64(level / 10), f64((level - 1) / 10)
        score, ratio = reverse.score(x, t), float(sde.sigmas[level - 1] / 0.01) ** 2
        alpha = 2e-5 * ratio
        first, _ = AnnealedLangevin(ncsn_snr(1e-5, 0.01)).step(reverse, x, t, s, lambda x: z)
        assert torch.allclose(first, x + alpha / 2 * score + alpha**0.5 * z, rtol=1e-12)
        alpha = 6.2e-6 * ratio
        second, _ = AnnealedLangevin(ncsn_snr(6.2e-6, 0.01)).step(reverse, x, t, s, lambda x: z)
        assert torch.allclose(second, x + alpha * score + (2 * alpha) ** 0.5 * z, rtol=1e-12)
    last = PredictorCorrector(None, AnnealedLangevin(0.1), corrector_first=True)
    done, _ = last.step(reverse, x, f64(0.1), f64(0.0), torch.zeros_like)
    moved = x + 2 * (0.1 * 0.01) ** 2 * reverse.score(x, f64(0.1))
    assert torch.allclose(done, reverse.x0(moved, f64(0.1)), rtol=1e-12)  # NCSNv2's denoising


def two_modes(sde):
    """Score of 0.8 N((-5, -5), I) + 0.2 N((5, 5), I) (Song & Ermon 2019, figure 3)."""

    def score(x, t):
        v = 1 + sde.sigma(t).square()
        odds = math.log(0.8 / 0.2) - 10 * x.sum((1, 2, 3), keepdim=True) / v
        return ((0.5 - odds.sigmoid()) * 10 - x) / v

    return score


def test_annealing_recovers_the_weights_of_modes():
    """Annealed Langevin finds 0.8 / 0.2; as many plain steps from the same start do not."""
    sde = NCSN(geometric_sigmas(20, 0.1, 20.0))
    reverse, noise = Reverse(sde, two_modes(sde)), Noise(0, ["all"])

    def shares(solver, times) -> float:
        stream = noise.stream("start")
        x = 20 * stream(torch.empty(1, 4000, 2, dtype=torch.float64))[0, :, :, None, None]
        for k, (t, s) in enumerate(zip(times[:-1], times[1:], strict=True)):
            step = noise.stream(f"step/{k}")
            x, _ = solver.step(reverse, x, t, s, lambda x, step=step: step(x[None])[0])
        return float((x.sum((1, 2, 3)) < 0).double().mean())

    corrector, levels = AnnealedLangevin(0.3), Uniform(20).times(sde, 1.0)
    annealed = shares(PredictorCorrector(None, corrector, 25, corrector_first=True), levels)
    lowest = torch.full((21,), 1 / 20, dtype=torch.float64)  # plain: steps of 0.02 at sigma = 0.1
    plain = shares(PredictorCorrector(None, AnnealedLangevin(0.999), 25), lowest)
    assert annealed == pytest.approx(0.8, abs=0.03)
    assert plain == pytest.approx(0.5, abs=0.05)


PROCESSES = {"ve": VE(), "vp": VP(), "subvp": SubVP(), "ddpm": DDPM(), "ncsn": NCSN()}


def sampler(name: str) -> Sampler:
    return instantiate(OmegaConf.load(CONF / "sampler" / f"{name}.yaml"))


@pytest.mark.parametrize(
    "corrector_first",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["predictor", "corrector"],
)
@pytest.mark.parametrize("name", PROCESSES)
def test_the_pc_sampler_generates_gaussian_data(name, corrector_first):
    """conf/sampler/pc.yaml in 200 steps, both orders, on every process."""
    pc, sde, noise = sampler("pc"), PROCESSES[name], Noise(0, ["a", "b"])
    assert pc.solver == PredictorCorrector(ReverseDiffusion(), Langevin(0.16))
    solver = replace(pc.solver, corrector_first=corrector_first)
    pc = replace(pc, solver=solver, grid=Uniform(200))
    mean, variance = Gaussian().moments(sde, f64(sde.T))
    x = mean + variance.sqrt() * noise.stream("x")(torch.empty(2, 3, 32, 32, dtype=torch.float64))
    y = pc.run(Reverse(sde, Gaussian().score(sde)), x, pc.times(sde, sde.T), noise)
    assert float(y.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(y.std()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["ve", "ncsn"])
def test_the_annealed_langevin_sampler_has_the_spread_of_its_recursion(name):
    """conf/sampler/annealed_langevin.yaml: five steps a level leave N(0.5, 0.25) 8 % too wide."""
    annealed, sde, noise = sampler("annealed_langevin"), PROCESSES[name], Noise(0, ["a"])
    times = annealed.times(sde, 1.0)
    x = sde.sigma(times[0]) * noise.stream("x")(torch.empty(1, 3, 32, 32, dtype=torch.float64))
    y = annealed.run(Reverse(sde, Gaussian().score(sde)), x, times, noise)
    spread = float(sde.sigma(times[0])) ** 2
    for sigma in sde.sigma(times[:-1]).tolist():
        e = 6.2e-6 * sigma**2 / 0.01**2
        for _ in range(5):
            spread = (1 - e / (0.25 + sigma**2)) ** 2 * spread + 2 * e
    assert float(y.std()) == pytest.approx(spread**0.5, rel=0.03)
    assert spread**0.5 == pytest.approx(0.539, abs=0.002)
    assert float(y.mean()) == pytest.approx(0.5, abs=0.03)


def test_parts_of_a_predictor_corrector():
    """Without a corrector: the predictor. The order: what is corrected, and when."""
    sde, x = VP(), torch.linspace(-2, 2, 48, dtype=torch.float64).view(1, 3, 4, 4)
    reverse, noise = Reverse(sde, Mixture().score(sde)), Noise(0, ["a"])

    def step(solver):
        return solver.step(reverse, x, T, S, noise.stream("step"))[0]

    assert torch.equal(step(PredictorCorrector(EulerMaruyama(), None)), step(EulerMaruyama()))
    draws = noise.stream("step")
    arrived, _ = EulerMaruyama().step(reverse, x, T, S, draws)
    for _ in range(2):
        arrived, _ = Langevin().step(reverse, arrived, S, T, draws)
    assert torch.equal(step(PredictorCorrector(EulerMaruyama(), Langevin(), 2)), arrived)
    draws = noise.stream("step")
    left, _ = Langevin().step(reverse, x, T, S, draws)
    left, _ = EulerMaruyama().step(reverse, left, T, S, draws)
    first = PredictorCorrector(EulerMaruyama(), Langevin(), corrector_first=True)
    assert torch.equal(step(first), left)


def test_milstein_is_configured_as_euler_maruyama():
    text = (CONF / "sampler" / "milstein.yaml").read_text()
    assert "- euler_maruyama" in text and "_target_" not in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Langevin(0.0), "0 < snr < 1"),
        (lambda: AnnealedLangevin(1.0), "0 < snr < 1"),
        (lambda: ncsn_snr(6.2e-6, 0.0), "sigma_min > 0"),
        (lambda: PredictorCorrector(None, None), "a predictor, a corrector or both"),
        (lambda: PredictorCorrector(None, Langevin(), corrections=0), "at least 1"),
        (lambda: Sampler(PredictorCorrector(SRK(), Langevin()), Uniform(10)).times(DDPM(), 1.0),
         "between levels"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
