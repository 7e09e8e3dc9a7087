"""Our EGSDE against recorded runs of the official code, and against Algorithm 1 written plainly."""

from __future__ import annotations

import pytest
import torch

from egsde.energies import DomainCosine, LowPassL2
from egsde.methods import egsde, sdedit
from egsde.noise import Noise, Replay
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM, VP
from egsde.solvers import Ancestral, EulerMaruyama
from official import network, recording
from problems import Gaussian, SquaredDistance


@pytest.fixture(scope="module")
def chain():
    return DDPM(), Sampler(Ancestral(), Uniform(1000), denoise=False)


@pytest.fixture(scope="module")
def score(chain):
    return ScoreModel(network("adm", "adm_updown"), chain[0])


def states(translator, tensors: dict, noise: Replay) -> list[torch.Tensor]:
    return [y for _, _, y in translator.trajectory(tensors["x0"], noise)]


def test_egsde_equals_20_official_steps(chain, score):
    sde, sampler = chain
    tensors, noise = recording("traj_adm_t20")
    extractor = Extractor(network("dse", "dse_2class"), sde)
    energy = 500 * DomainCosine(extractor) + 2 * LowPassL2(4)
    score.calls = 0
    ours = states(egsde(score, sampler, energy, t_start=0.02), tensors, noise)
    assert (ours[0] - tensors["y_start"]).abs().max() < 1e-5  # its float32 cumprod
    worst = max((a - b).abs().max() for a, b in zip(ours[1:], tensors["y_out"], strict=True))
    assert worst < 1e-4
    assert (ours[-1] - tensors["final"]).abs().max() < 1e-4
    assert score.calls == 20 and extractor.calls == 40


def test_sdedit_equals_10_official_steps_without_weights(chain, score):
    sde, sampler = chain
    tensors, noise = recording("traj_adm_sdedit_t10")
    ours = states(sdedit(score, sampler, t_start=0.01), tensors, noise)
    worst = max((a - b).abs().max() for a, b in zip(ours[1:], tensors["y_out"], strict=True))
    assert worst < 1e-4


def test_algorithm_1_written_plainly():
    """Fresh x_t every step, Euler--Maruyama with g^2 (score - grad E), no noise in the last."""
    sde, steps, start = VP(t_min=0.0), 50, 0.5
    score, energy = Gaussian().score(sde), SquaredDistance(0.7)
    noise = Noise(3, ["a", "b"])
    x0 = torch.linspace(-1, 1, 24, dtype=torch.float64).view(2, 3, 2, 2)
    sampler = Sampler(EulerMaruyama(), Uniform(100), denoise=False)
    ours = egsde(score, sampler, energy, start, source_noise="fresh")(x0, noise)

    draw = noise.child(0)
    h = start / steps
    t = torch.tensor(start, dtype=torch.float64)
    y = sde.alpha(t) * x0 + sde.sigma(t) * draw.stream("start")(x0)
    for i in range(steps):
        t = torch.tensor(start - i * h, dtype=torch.float64)
        beta = 0.1 + t * 19.9
        x = sde.alpha(t) * x0 + sde.sigma(t) * draw.stream(f"source/{i}/0")(x0)
        guided = score(y, t) - 2 * 0.7 * (y - x)
        y = y - (-0.5 * beta * y - beta * guided) * h
        if i < steps - 1:
            y = y + (beta * h).sqrt() * draw.stream(f"step/{i}")(x0)
    assert torch.allclose(ours, y, rtol=0, atol=1e-12)
