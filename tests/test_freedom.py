"""FreeDoM: its step on Gaussians in closed form, its time travel, and what the energy gains."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from egsde.energies import LowPassL2
from egsde.linear.filters import LowPass, box
from egsde.methods import freedom, generate
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.repeats import Repeats
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM
from egsde.solvers import Ancestral
from problems import Gaussian, Quadratic

SAMPLER = Sampler(Ancestral(), Uniform(10))
IDS = ["a", "b"]


def images() -> torch.Tensor:
    generator = torch.manual_seed(0)
    return torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1


def test_a_step_is_the_samplers_and_one_along_the_slope():
    """Of N(mu, v) x0-hat is affine with slope alpha v / (alpha^2 v + sigma^2)."""
    sde, data, weight, scale = DDPM(), Gaussian(0.2, 0.25), 0.7, 0.3
    x, noise = images(), Noise(0, IDS)
    energy = Quadratic(weight, 0.6)
    guided = freedom(data.score(sde), SAMPLER, energy, scale, clip=False)
    free = generate(data.score(sde), SAMPLER, clip=False)
    (_, t, start), (_, _, pulled), *_ = guided.trajectory(x, noise)
    (_, _, same), (_, _, plain), *_ = free.trajectory(x, noise)
    assert torch.equal(start, same)
    mean, variance = data.moments(sde, t)
    slope = sde.alpha(t) * data.variance / variance
    down = slope * weight * (data.mean + slope * (start - mean) - 0.6)
    assert torch.allclose(pulled, plain - scale * sde.alpha(t) * down, atol=1e-10)


def test_nothing_is_pulled_without_a_scale_and_travel_repeats_the_steps_between():
    sde, data = DDPM(), Gaussian()
    x, noise = images(), Noise(0, IDS)
    plain = generate(data.score(sde), SAMPLER)(x, noise)
    still = freedom(data.score(sde), SAMPLER, Quadratic(), 0.0)
    assert torch.equal(still(x, noise), plain)
    times = Repeats(Uniform(5), 3, 0.4, 0.8).times(sde, 1.0)
    wanted = [1, 0.8, 0.6, 0.8, 0.6, 0.8, 0.6, 0.4, 0.6, 0.4, 0.6, 0.4, 0.2, 0]
    assert torch.allclose(times, torch.tensor(wanted).double())
    with pytest.raises(ValueError, match="0 <= low <= high <= 1, got 2, 0.7 and 0.3"):
        Repeats(Uniform(5), 2, 0.7, 0.3)


def test_travel_without_energy_keeps_the_law():
    """Up and down again under the exact score: mean and variance stay those of the data."""
    sde, data = DDPM(), Gaussian(0.3, 0.2)
    x = torch.zeros(2, 3, 32, 32, dtype=torch.float64)
    sampler = replace(SAMPLER, grid=Uniform(500))
    walk = freedom(data.score(sde), sampler, Quadratic(), 0.0, travels=3, clip=False)
    y = walk(x, Noise(3, IDS))
    assert walk.steps == 500 + 2 * 200
    assert float(y.mean()) == pytest.approx(0.3, abs=0.02)
    assert float(y.var()) == pytest.approx(0.2, rel=0.1)  # ancestral steps lose some


def test_the_energy_falls_with_the_rate_and_with_travel():
    sde, data, low = DDPM(), Gaussian(0.0, 0.3), LowPass(4, box)
    x = 0.5 * torch.randn(2, 3, 64, 64, generator=torch.manual_seed(0), dtype=torch.float64)

    def far(scale, travels):
        y = freedom(data.score(sde), SAMPLER, LowPassL2(4), scale, travels)(x, Noise(0, IDS))
        return float((low(y) - low(x)).square().mean())

    free, once, more, again = far(0.0, 1), far(0.15, 1), far(0.5, 1), far(0.15, 4)
    assert free > 1.1 * once > 1.2 * more and once > again
