"""Energies: official values, closed-form gradients, exact guidance, sums, expectation over x_t."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from egsde.energies import (
    DomainCosine,
    DomainL2,
    Energy,
    LogProb,
    LowPassCosine,
    LowPassL2,
    WeightedSum,
)
from egsde.linear.filters import LowPass, cubic
from egsde.networks import read_weights
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import EulerMaruyama
from egsde.source import Source
from official import network
from problems import Gaussian, Impulses, Mixture, TinyNet, f64
from shared import shared_path

T = f64(0.3)
IDS = ["a", "b", "c"]


@pytest.fixture
def extractor():
    return Extractor(TinyNet().double(), VP())


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.manual_seed(seed))


def source_of(mode: str = "shared", seed: int = 1) -> Source:
    return Source(images(), VP(), Noise(seed, IDS), mode)


def energies(extractor) -> dict[str, Energy]:
    return {
        "cosine": DomainCosine(extractor),
        "l2": DomainL2(extractor),
        "low": LowPassL2(4),
        "low_cubic": LowPassL2(8, cubic),
        "low_cosine": LowPassCosine(4),
        "log_prob": LogProb(extractor),
        "sum": 500 * DomainCosine(extractor) + 2 * LowPassL2(4),
    }


class Known(Source):
    """A source whose x_t is given."""

    def at(self, t, draw=0):
        return self.x0


def test_cosine_and_its_gradient_equal_official():
    tensors = read_weights(shared_path("fixtures/dse_2class.safetensors"))
    sde = DDPM()
    extractor = Extractor(network("dse", "dse_2class"), sde)
    for b, level in enumerate(tensors["t"]):
        x, x2 = tensors["x"][b : b + 1], tensors["x2"][b : b + 1]
        source = Known(x2, sde, Noise(0, ["a"]))
        t = (f64(float(level)) + 1) / 1000
        energy = DomainCosine(extractor)
        torch.testing.assert_close(energy(x, t, source)[0], tensors["cosine_energy"][b])
        recorded = tensors["grad_cosine_wrt_x"][b : b + 1]
        difference = energy.grad(x, t, source) - recorded
        assert difference.abs().max() < 1e-5 * recorded.abs().max()


@pytest.mark.parametrize(("size", "factor"), [(32, 4), (32, 8), (64, 4), (64, 8), (256, 32)])
def test_low_pass_equals_official(size, factor):
    tensors = read_weights(shared_path("fixtures/resizer.safetensors"))
    y = tensors[f"x{size}"].flip(-1)
    source = Known(tensors[f"x{size}"], DDPM(), Noise(0, ["a", "b"]))
    energy, name = LowPassL2(factor), f"{size}_N{factor}_linear"
    torch.testing.assert_close(energy(y, T, source), tensors[f"l2energy_{name}"], rtol=1e-5, atol=0)
    if f"l2grad_{name}" in tensors:
        recorded = tensors[f"l2grad_{name}"]
        assert (energy.grad(y, T, source) - recorded).abs().max() < 1e-5 * recorded.abs().max()


@pytest.mark.parametrize("mode", ["shared", "fresh", "expectation"])
@pytest.mark.parametrize(
    "name", ["cosine", "l2", "low", "low_cubic", "low_cosine", "log_prob", "sum"]
)
def test_gradient_is_that_of_the_value(extractor, name, mode):
    energy, source, y = energies(extractor)[name], source_of(mode), images(5)
    assert energy(y, T, source).shape == (3,)
    difference = energy.grad(y, T, source) - Energy.grad(energy, y, T, source)
    assert difference.abs().max() < 1e-12 * energy.grad(y, T, source).abs().max()
    direction, h = images(6), 1e-4
    moved = (energy(y + h * direction, T, source) - energy(y - h * direction, T, source)) / (2 * h)
    along = (energy.grad(y, T, source) * direction).flatten(1).sum(1)
    assert torch.allclose(moved, along, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["cosine", "l2", "low", "low_cosine", "log_prob", "sum"])
def test_an_image_is_guided_by_itself_only(extractor, name):
    energy, y = energies(extractor)[name], images(5)
    whole = energy.grad(y, T, source_of())
    for b in range(3):
        alone = Source(images()[b : b + 1], VP(), Noise(1, IDS[b : b + 1]))
        part = energy.grad(y[b : b + 1], T, alone)
        assert (part - whole[b : b + 1]).abs().max() < 1e-12 * whole.abs().max()


def test_values_of_the_variants(extractor):
    source, y = source_of(), images(5)
    ours, theirs = extractor.features(y, T), extractor.features(source.at(T), T)
    expected = cosine_similarity(ours, theirs, dim=1).mean((1, 2))
    assert torch.allclose(DomainCosine(extractor)(y, T, source), expected)
    expected = -(ours - theirs).square().sum((1, 2, 3))
    assert torch.allclose(DomainL2(extractor)(y, T, source), expected)
    low, low_source = LowPass(4)(y), LowPass(4)(source.at(T))
    expected = -cosine_similarity(low, low_source, dim=1).mean((1, 2))
    assert torch.allclose(LowPassCosine(4)(y, T, source), expected)


def test_classifier_guidance_of_a_mixture_is_the_score_of_its_component():
    sde, problem = VP(), Mixture()
    y = torch.linspace(-2, 2, 7, dtype=torch.float64).view(7, 1, 1, 1)

    class Exact(torch.nn.Module):
        def forward(self, x, label):
            t = (label / 999)[0]
            alpha = sde.alpha(t)
            spread = alpha.square() * problem.variance + sde.sigma(t).square()
            return torch.cat([-alpha * x, alpha * x], 1).flatten(1) / spread

    source = Source(y, sde, Noise(0, list("abcdefg")))
    for label, sign in [(0, -1.0), (-1, 1.0)]:
        energy = LogProb(Extractor(Exact(), sde), label)
        guided = problem.score(sde)(y, T) - energy.grad(y, T, source)
        assert (guided - problem.component_score(sde, sign)(y, T)).abs().max() < 1e-10


def test_sums_add_gradients_and_keep_names(extractor):
    cosine, low = DomainCosine(extractor), LowPassL2(4)
    total = 3 * (2 * cosine + low) + low * 0.5
    assert list(total.weights.items()) == [
        ("DomainCosine", 6),
        ("LowPassL2", 3),
        ("LowPassL2_2", 0.5),
    ]
    source, y = source_of(), images(5)
    expected = 6 * cosine.grad(y, T, source) + 3.5 * low.grad(y, T, source)
    assert torch.allclose(total.grad(y, T, source), expected)
    expected = 6 * cosine(y, T, source) + 3.5 * low(y, T, source)
    assert torch.allclose(total(y, T, source), expected)


def test_terms_of_weight_zero_are_never_evaluated(extractor):
    total = 0 * DomainCosine(extractor) + 0 * LowPassL2(5)  # 5 does not even divide the size
    source, y = source_of(), images(5)
    assert torch.equal(total.grad(y, T, source), torch.zeros_like(y))
    assert torch.equal(total(y, T, source), torch.zeros(3, dtype=torch.float64))
    assert extractor.calls == 0


def test_terms_and_weights_must_match():
    with pytest.raises(ValueError, match=r"\['a'\] but weights are for \['a', 'b'\]"):
        WeightedSum({"a": LowPassL2(4)}, {"a": 1, "b": 2})


def test_source_features_are_computed_once_a_step(extractor):
    source, y = source_of(), images(5)
    energy = DomainCosine(extractor) + DomainL2(extractor)
    for step in range(2):
        source.begin(step)
        energy.grad(y, T, source)
    assert extractor.calls == 2 * (2 + 1)  # y per term, x_t once


def test_source_noise_modes():
    t, s = f64(0.3), f64(0.29)
    for mode, same in [("shared", True), ("fresh", False)]:
        source = source_of(mode)
        eps = []
        for step, time in enumerate((t, s)):
            source.begin(step)
            assert torch.equal(source.mean(time), source.at(time))
            eps.append((source.at(time) - VP().alpha(time) * images()) / VP().sigma(time))
        assert torch.allclose(eps[0], eps[1]) is same
        start = (source.start(t) - VP().alpha(t) * images()) / VP().sigma(t)
        assert torch.allclose(eps[0], start) is same
    with pytest.raises(ValueError, match="source_noise is 'new'; use one of"):
        source_of("new")


def test_expectation_is_the_average_over_x_t(extractor):
    """Exact for the low pass; unbiased for features: many steps average to many fresh draws."""
    exact, y = source_of("expectation"), images(5)
    low = LowPassL2(4)
    expected = 2 * LowPass(4).gram(y - VP().alpha(T) * images())
    assert torch.allclose(low.grad(y, T, exact), expected)
    fresh = source_of("fresh")
    average = torch.zeros_like(y)
    for step in range(400):
        fresh.begin(step)
        average += low.grad(y, T, fresh) / 400
    assert (average - expected).square().mean().sqrt() < 0.1 * expected.square().mean().sqrt()
    cosine = DomainCosine(extractor)
    draws = [cosine_of_draw(extractor, exact, y, draw) for draw in range(exact.draws)]
    assert torch.allclose(cosine(y, T, exact), torch.stack(draws).mean(0))
    assert len({float(d[0]) for d in draws}) == exact.draws == 4


def cosine_of_draw(extractor, source, y, draw):
    theirs = extractor.features(source.at(T, draw), T)
    return cosine_similarity(extractor.features(y, T), theirs, dim=1).mean((1, 2))


@pytest.mark.parametrize("exact", [True, False])
def test_quadratic_energy_reaches_the_posterior_only_with_the_propagated_energy(exact):
    """E_0 = lambda / 2 (x - c)^2 on Gaussian data: recorded moments of 4000 Euler steps."""
    oracle = np.load(shared_path("oracles/guidance_quadratic.npz"))
    mu, s2, c, lam = (float(oracle[k]) for k in ("mu", "s2", "c", "lam"))
    sde, data = VP(), Gaussian(mu, s2)

    class Propagated(Energy):
        def __call__(self, y, t, source):
            mean, variance = data.moments(sde, t)
            m = mu + sde.alpha(t) * s2 / variance * (y - mean)
            p = s2 * sde.sigma(t).square() / variance
            return (0.5 * (m - c).square() / (p + 1 / lam)).flatten(1).sum(1)

    class Naive(Energy):
        def __call__(self, y, t, source):
            return (0.5 * lam * (y - c).square()).flatten(1).sum(1)

    energy, score = (Propagated() if exact else Naive()), data.score(sde)

    def guided(y, t):
        return score(y, t) - energy.grad(y, t, None)

    steps = 1000
    noise = Impulses(steps + 2)
    sampler = Sampler(EulerMaruyama(), Uniform(steps), denoise=True)
    start = noise.stream("start")(noise.images(0.0))
    y = sampler.run(Reverse(sde, guided), start, sampler.times(sde, 1.0), noise)
    recorded = oracle["em4000_exact" if exact else "em4000_naive"]
    assert np.allclose(noise.moments(y), recorded, rtol=0, atol=5e-3)  # O(1 / steps)


@pytest.mark.parametrize("energy", [LowPassL2, LowPassCosine])
@pytest.mark.parametrize("factor", [0, -1])
def test_a_low_pass_without_a_factor_is_refused_when_it_is_made(energy, factor):
    with pytest.raises(ValueError, match=f"factor of at least 1, got {factor}"):
        energy(factor)
