"""Sampling from noise alone: exact moments on every process, names and shapes of the sources."""

from __future__ import annotations

import pytest
import torch

from egsde.methods import generate
from egsde.noise import Noise
from egsde.sampling.grids import Karras, Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, EDM, NCSN, VE, VP, CosineVP, SubVP, cosine_betas
from egsde.solvers import DDIM, Ancestral
from problems import Gaussian, Impulses

SDES = [VP(), SubVP(), VE(), CosineVP(), EDM(), DDPM(), DDPM(cosine_betas()), NCSN()]


def reached(sde, solver, steps: int) -> tuple[float, float]:
    """Exact mean and std of what N(0, sigma(T)^2) becomes, for data of mean and std 0.5."""
    noise = Impulses(steps + 3)
    grid = Karras(steps) if sde.T > 1 else Uniform(steps)  # even times are no grid for EDM
    translate = generate(Gaussian().score(sde), Sampler(solver, grid, denoise=False), clip=False)
    assert translate.steps == steps and translate.times[0] == sde.T
    mean, variance = noise.moments(translate(noise.images(7.0), noise))
    return mean, variance**0.5


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_noise_becomes_the_data(sde):
    """200 steps: DDIM's std within 1.5 %, ancestral sampling's 3.5 %, halved by twice the steps."""
    mean, std = reached(sde, DDIM(), 200)
    assert mean == pytest.approx(0.5, rel=0.01) and std == pytest.approx(0.5, rel=0.015)
    coarse, fine = (reached(sde, Ancestral(), steps) for steps in (200, 400))
    assert coarse[0] == pytest.approx(0.5, rel=1e-3) and fine[0] == pytest.approx(0.5, rel=1e-3)
    assert coarse[1] == pytest.approx(0.5, rel=0.036)
    assert fine[1] == pytest.approx(0.5, rel=0.02)
    assert (0.5 - coarse[1]) / (0.5 - fine[1]) == pytest.approx(1.95, abs=0.15)


def test_the_source_gives_only_shape_and_names():
    sde = EDM()
    translate = generate(Gaussian().score(sde), Sampler(DDIM(), Karras(5), denoise=True))
    a, b = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    first = translate(a, Noise(0, ["a", "b"]))
    assert first.dtype == torch.float32 and first.abs().max() <= 1 + 1e-5
    assert torch.equal(first, translate(b, Noise(0, ["a", "b"])))
    assert torch.equal(first.flip(0), translate(a, Noise(0, ["b", "a"])))
    start = next(translate.trajectory(a, Noise(0, ["a", "b"])))[2]
    assert torch.equal(start, 80 * Noise(0, ["a", "b"]).child(0).stream("start")(a))
