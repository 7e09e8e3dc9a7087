"""Energies of the denoised image and of a part of the times: exact laws, known bias, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from demo_networks import write_networks
from egsde.energies import During, Guided, LowPassL2, OnDenoised
from egsde.methods import dps
from egsde.methods.diffusion import Diffusion, networks_of
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, VE, VP, Reverse
from egsde.solvers import DDIM, EulerMaruyama
from egsde.source import Source
from problems import Gaussian, Mixture, Quadratic, f64
from runs import composed
from shared import shared_path

SDES = [VP(), VE(), DDPM()]


def source_of(sde, y: torch.Tensor) -> Source:
    return Source(torch.zeros_like(y), sde, Noise(0, [str(k) for k in range(len(y))]))


def quadratic_moments(energy, steps: int) -> tuple[float, float]:
    """Exact moments of Euler steps of the guided reverse SDE from p_T exp(-E_T): each step is
    affine in state and noise, so its values at (0, 0), (1, 0) and (0, 1) give it."""
    oracle = np.load(shared_path("oracles/guidance_quadratic.npz"))
    mu, s2, c, weight = (float(oracle[k]) for k in ("mu", "s2", "c", "lam"))
    data, times = Gaussian(mu, s2), torch.linspace(1, PROCESS.t_min, steps + 1, dtype=torch.float64)
    (mean, v), alpha = data.moments(PROCESS, times[0]), PROCESS.alpha(times[0])
    slope = alpha * s2 / v  # m(y) = mu + slope (y - alpha mu)
    spread = s2 * PROCESS.sigma(times[0]).square() / v + 1 / weight
    variance = 1 / (1 / v + slope.square() / spread)
    mean = mean + slope * (c - mu) / spread * variance
    probe = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    source, score = source_of(PROCESS, probe), data.score(PROCESS)
    reverse = Reverse(PROCESS, lambda y, t: score(y, t) - energy.grad(y, t, source))
    for t, s in zip(times[:-1], times[1:], strict=True):
        y, _ = EulerMaruyama().step(reverse, probe, t, s, lambda x: probe.flip(0).roll(1, 0))
        offset, state, drawn = y.flatten()
        mean = offset + (state - offset) * mean
        variance = (state - offset).square() * variance + (drawn - offset).square()
    return float(mean), float(variance)


PROCESS = VP(t_min=1e-4)  # the recorded run's


def on_denoised(**options) -> OnDenoised:
    return OnDenoised(Quadratic(), Gaussian(-0.5, 0.25).score(PROCESS), **options)


def test_the_exact_energy_reaches_the_posterior():
    oracle = np.load(shared_path("oracles/guidance_quadratic.npz"))
    reached = quadratic_moments(on_denoised(curvature=3.0, data_variance=0.25), 4000)
    assert np.allclose(reached, oracle["em4000_exact"], rtol=1e-10)
    assert np.allclose(reached, oracle["posterior"], rtol=1e-3)


class ClosedForm(Quadratic):
    def grad(self, y, t, source):
        return self.weight * (y - self.center)


@pytest.mark.slow
def test_the_energy_of_the_noisy_state_does_not():
    oracle = np.load(shared_path("oracles/guidance_quadratic.npz"))
    reached = quadratic_moments(ClosedForm(), 4000)
    assert np.allclose(reached, oracle["em4000_naive"], rtol=1e-10)


def test_the_bias_of_dps_is_the_known_one():
    """Without the spread p of x_0 given y the pull is (1 + weight p) times the exact one."""
    exact, plain = on_denoised(curvature=3.0, data_variance=0.25), on_denoised()
    y = torch.linspace(-2, 2, 5, dtype=torch.float64).view(5, 1, 1, 1)
    source = source_of(PROCESS, y)
    for t in (f64(0.05), f64(0.4), f64(0.9)):
        alpha, variance = PROCESS.alpha(t), PROCESS.sigma(t).square()
        p = 0.25 * variance / (alpha.square() * 0.25 + variance)
        ratio = plain.grad(y, t, source) / exact.grad(y, t, source)
        assert torch.allclose(ratio, (1 + 3 * p).expand_as(ratio), rtol=1e-12)
    posterior = np.load(shared_path("oracles/guidance_quadratic.npz"))["posterior"]
    mean, variance = quadratic_moments(plain, 400)
    assert mean - posterior[0] > 0.1 and variance < 0.95 * posterior[1]


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_gradients_of_an_energy_of_the_denoised_image(sde):
    """Gaussian data: x0-hat = mu + a s^2 / v (y - a mu), so grad E = weight (x0-hat - c) a s^2 / v;
    with the score held fixed the last factor is 1 / a."""
    score, t = Gaussian(-0.5, 0.25).score(sde), f64(0.3)
    y = torch.randn(4, 3, 2, 2, generator=torch.manual_seed(0), dtype=torch.float64)
    alpha, source = sde.alpha(t), source_of(sde, y)
    slope = 0.25 * alpha / (alpha.square() * 0.25 + sde.sigma(t).square())
    pull = 3 * (-0.5 + slope * (y + 0.5 * alpha) - 1)
    through = OnDenoised(Quadratic(), score).grad(y, t, source)
    assert torch.allclose(through, pull * slope, rtol=1e-9)
    fixed = OnDenoised(Quadratic(), score, through=False).grad(y, t, source)
    assert torch.allclose(fixed, pull / alpha, rtol=1e-9)


def test_the_gradient_flows_through_the_network():
    sde, t = VP(), f64(0.4)
    y = torch.randn(1, 3, 4, 4, generator=torch.manual_seed(0), dtype=torch.float64)
    source = source_of(sde, y)
    energy = OnDenoised(LowPassL2(2), Mixture().score(sde))
    gradient = energy.grad(y, t, source)
    for k in (0, 17, 40):
        nudge = torch.zeros_like(y).view(-1)
        nudge[k] = 1e-5
        nudge = nudge.view_as(y)
        change = energy(y + nudge, t, source) - energy(y - nudge, t, source)
        assert float(gradient.flatten()[k]) == pytest.approx(float(change) / 2e-5, rel=1e-6)


def test_an_energy_acts_during_its_times_only():
    calls = []

    class Watched(Quadratic):
        def __call__(self, y, t, source):
            calls.append(float(t))
            return super().__call__(y, t, source)

    sde, shape = DDPM(), torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    limited = During(Watched(), t_hi=0.6, t_lo=0.3)
    sampler = Sampler(DDIM(), Uniform(10), denoise=False)
    score = Guided(Gaussian().score(sde), limited)
    Diffusion(score, sampler)(shape, Noise(0, ["a", "b"]))
    assert calls == pytest.approx([0.6, 0.5, 0.4, 0.3])
    source = source_of(sde, shape)
    assert not limited(shape, f64(0.7), source).any()
    assert not limited.grad(shape, f64(0.2), source).any()
    assert torch.equal(limited(shape, f64(0.5), source), Quadratic()(shape, f64(0.5), source))


def test_dps_pulls_towards_the_source_from_noise_alone():
    sde, x = VP(), torch.full((2, 3, 4, 4), 0.8, dtype=torch.float64)
    score, sampler = Gaussian(0.0, 0.25).score(sde), Sampler(DDIM(), LogSNR(40), denoise=False)
    reached = [
        float(
            (
                dps(score, sampler, LowPassL2(2), scale, clip=False)(x, Noise(0, ["a", "b"])) - x
            ).mean()
        )
        for scale in (0.0, 2.0)
    ]
    assert abs(reached[1]) < 0.35 * abs(reached[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: During(Quadratic(), t_hi=0.2, t_lo=0.5), "t_lo < t_hi, got 0.5 and 0.2"),
        (lambda: on_denoised(curvature=-1.0), "curvature >= 0.*got -1.0"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_terms_share_the_networks_of_the_translator(tmp_path):
    """A term on the denoised image and one that acts for a while, added on the command line."""
    cfg = composed(
        "sample", tmp_path, *write_networks(tmp_path),
        "+energy/term@energy.terms.clean=on_denoised", "energy.terms.clean.energy.factor=2",
        "+energy/term@energy.terms.early=during", "energy/term@energy.terms.early.energy=domain_l2",
        "+energy.weights={clean: 0.1, early: 0.01}", "energy.terms.early.t_lo=0.2",
    )  # fmt: skip
    translate = build_translator(cfg)
    terms = translate.score.energy.terms
    assert terms["clean"].score is translate.score.score
    assert terms["early"].energy.extractor is terms["realism"].extractor
    assert set(networks_of(translate)) == {"score", "extractor"}
    y = translate(torch.rand(1, 3, 16, 16), Noise(0, ["a"]))
    assert y.isfinite().all() and translate.score.score.calls == 2 * translate.steps
