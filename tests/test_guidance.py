"""Classifier guidance: the exact conditional score, its two forms, the class's law."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from scipy import stats

from demo_networks import write_networks
from egsde.energies import LogProb
from egsde.linear.blocks import split
from egsde.linear.operators import Grey
from egsde.methods import classifier_guidance, cycle_diffusion
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, VE, VP, Reverse
from egsde.solvers import DDIM, Ancestral
from egsde.source import Source
from problems import Gaussian, Mixture, RecordedMixture, f64, named
from runs import composed

SDES = [VP(), VE(), DDPM()]


@dataclass(frozen=True)
class Components:
    """The exact classifier of the recorded mixture's components: logits log w_k N(y; ...)."""

    sde: object

    def __call__(self, y, t):
        return RecordedMixture()._parts(self.sde, y, t)[0]


@dataclass(frozen=True)
class Sides:
    """The exact classifier of `Mixture` in one pixel: left and right have logits -+ alpha y / v."""

    sde: object
    variance: float = 0.05

    def __call__(self, y, t):
        alpha = self.sde.alpha(t)
        spread = alpha.square() * self.variance + self.sde.sigma(t).square()
        right = (alpha * y / spread).flatten(1).sum(1)
        return torch.stack([-right, right], 1)


def source_of(sde, y: torch.Tensor) -> Source:
    return Source(torch.zeros_like(y), sde, Noise(0, [str(k) for k in range(len(y))]))


@pytest.mark.parametrize("component", [0, 1, 2])
@pytest.mark.parametrize("sde", SDES, ids=named)
def test_the_guided_score_of_a_mixture_is_its_components(sde, component):
    """grad log p_t(c | y) + score = (alpha mean_c - y) / (alpha^2 std_c^2 + sigma^2)."""
    mixture = RecordedMixture()
    y = torch.randn(5, 3, 2, 2, generator=torch.manual_seed(0), dtype=torch.float64)
    energy = LogProb(Components(sde), component)
    for t in (0.002, 0.1, 0.5, 1.0):
        t, source = f64(t), source_of(sde, y)
        guided = mixture.score(sde)(y, t) - energy.grad(y, t, source)
        variance = (sde.alpha(t) * mixture.std[component]).square() + sde.sigma(t).square()
        expected = (sde.alpha(t) * mixture.means[component] - y) / variance
        assert (guided - expected).abs().max() < 1e-10 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_mean_form_and_score_form_are_the_same_guidance(scale):
    """Ancestral: mean + std^2 / a scale grad log p; DDIM: eps - sqrt(1 - alpha bar) scale grad
    log p (Dhariwal 2021, Algorithms 1 and 2). `scale` is that of the method."""
    sde, t, s = DDPM(), f64(0.4), f64(0.399)
    x = torch.randn(4, 1, 1, 1, generator=torch.manual_seed(0), dtype=torch.float64)
    energy, source = LogProb(Sides(sde)), source_of(sde, x)
    score, sampler = Mixture().score(sde), Sampler(Ancestral(), Uniform(10), denoise=False)
    translate = classifier_guidance(score, sampler, energy, scale, clip=False)
    guided = Reverse(sde, lambda y, t: translate.score(y, t, source))
    plain, gradient = Reverse(sde, score), -energy.grad(x, t, source)
    a, std = sde.transition(s, t)
    mean = [Ancestral().step(r, x, t, s, torch.zeros_like)[0] for r in (guided, plain)]
    assert torch.allclose(mean[0], mean[1] + std.square() / a * scale * gradient, atol=1e-12)
    eps = plain.eps(x, t) - (1 - sde.alpha(t).square()).sqrt() * scale * gradient
    assert torch.allclose(guided.eps(x, t), eps, atol=1e-12)
    x0 = (x - sde.sigma(t) * eps) / sde.alpha(t)
    ddim = sde.alpha(s) * x0 + sde.sigma(s) * eps
    assert torch.allclose(DDIM().step(guided, x, t, s, torch.zeros_like)[0], ddim, atol=1e-12)


@pytest.mark.parametrize(
    ("solver", "images", "steps"), [(DDIM(), 1500, 60), (Ancestral(), 250, 50)], ids=named
)
@pytest.mark.parametrize("label", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_guided_samples_have_the_components_law(solver, images, steps, label):
    """Kolmogorov--Smirnov against p_t_min(x | c); without guidance the test fails."""
    sde = VP()
    score, sampler = Mixture().score(sde), Sampler(solver, LogSNR(steps), denoise=False)
    noise = Noise(11, [str(k) for k in range(images)])
    shape = torch.zeros(images, 1, 1, 1, dtype=torch.float64)
    mean, variance = Gaussian((-1, 1)[label], 0.05).moments(sde, f64(1e-3))
    law = stats.norm(float(mean), float(variance) ** 0.5).cdf

    def p_value(translate):
        return stats.kstest(translate(shape, noise).flatten().numpy(), law).pvalue

    guided = classifier_guidance(score, sampler, LogProb(Sides(sde), label), clip=False)
    assert p_value(guided) > 0.01
    free = classifier_guidance(score, sampler, LogProb(Sides(sde), label), 0.0, clip=False)
    assert p_value(free) < 1e-10


@pytest.mark.parametrize("method", ["classifier_guidance", "dps", "freedom"])
def test_on_the_command_line(method, tmp_path):
    weights = [w for w in write_networks(tmp_path) if w.split(".")[0] in ("score", "extractor")]
    factor = ["translator.energy.factor=2"] if method in ("dps", "freedom") else []
    cfg = composed("sample", tmp_path, "experiment=none", f"translator={method}",
                   "sampler=ddim", "sampler.grid.steps=4", *weights, *factor)  # fmt: skip
    translate = build_translator(cfg)
    assert translate(torch.rand(1, 3, 16, 16), Noise(0, ["a"])).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: LogProb(Sides(VP()), 5)(x, f64(0.5), None), "label 5 .* classifier of 2"),
        (lambda x: DDIM(eta=2.0), "eta is from 0.*got 2.0"),
        (lambda x: cycle_diffusion(None, None, None, refine=-1.0), "refine .*got -1.0"),
        (lambda x: Grey().forward(x[:, :1]), "3 channels, but images have 1"),
        (lambda x: split(x, 4), "4 blocks a side do not divide 4 x 4 pixels into blocks of more"),
    ],
)
def test_what_has_no_meaning_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(torch.zeros(1, 3, 4, 4))
