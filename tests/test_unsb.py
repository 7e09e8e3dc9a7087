"""The neural Schroedinger bridge: its cost, its critic's bound, its chain, and Gaussian ends."""

from __future__ import annotations

import math

import pytest
import torch

from egsde.methods import bridge
from egsde.networks import MLP
from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import LatentScore
from egsde.sde import Brownian
from egsde.solvers import Ancestral
from egsde.training.modules import Constant, UNSBModule
from egsde.training.modules.unsb import entropy, transport

F64 = torch.float64


def covariance(variance, s1, s2):
    return (math.sqrt(variance**2 + 4 * s1**2 * s2**2) - variance) / 2


@pytest.mark.parametrize(("variance", "s1", "s2"), [(0.25, 0.5, 0.5), (1.0, 0.6, 0.4)])
def test_the_cost_is_least_at_the_bridge(variance, s1, s2):
    """y' = a x + b z with the target's variance: E (x - y')^2 - 2 v H, H = log(s1 b) but for a
    constant."""
    sde = Brownian(variance)
    left = sde.sigma(torch.tensor(sde.T, dtype=F64)).square()
    generator = torch.manual_seed(0)
    x, z = torch.randn(2, 200_000, 1, generator=generator, dtype=F64)
    x, z = x / x.square().mean().sqrt() * s1, z / z.square().mean().sqrt()
    z = z - (x * z).mean() / x.square().mean() * x  # a sample whose moments are exact
    z = z / z.square().mean().sqrt()
    shares = torch.linspace(0.01, 0.99, 99, dtype=F64) * s2 / s1
    costs = []
    for a in shares:
        b = (s2**2 - (a * s1) ** 2).sqrt()
        costs.append(transport(x, a * x + b * z, left, (s1 * b).log()))
    best = shares[torch.stack(costs).argmin()] * s1**2
    assert float(best) == pytest.approx(covariance(variance, s1, s2), abs=0.01 * s1 * s2)


def test_the_critics_bound_is_the_entropy_of_what_it_tells_apart():
    """Of k symbols, each beside the k - 1 others, C = l where both are the same: log k as l grows,
    and less before."""
    k, sharp = 8, 30.0
    same, others = torch.ones(k, dtype=F64), torch.zeros(k - 1, k, dtype=F64)
    found = [float(entropy(s * same, s * others)) for s in (sharp, 1.0, 0.0)]
    assert found[0] == pytest.approx(math.log(k), abs=1e-5)
    assert found[2] == pytest.approx(0, abs=1e-6) and 0 < found[1] < found[0]
    assert float(entropy(same * 1e6, others)) <= math.log(k) + 1e-6


def test_the_critic_that_knows_the_law_finds_the_information_of_a_blurred_normal():
    """C = log q(u + r n | u) / q: log(1 + s^2 / r^2) / 2 as the others grow in number."""
    generator = torch.manual_seed(0)
    count, r = 2000, 0.5
    u, n = torch.randn(2, count, generator=generator, dtype=F64)

    def critic(u, v):  # q(v | u) = N(u, r^2), q(v) = N(0, 1 + r^2)
        return (v.square() / (1 + r**2) - (v - u).square() / r**2) / 2

    blurred = u + r * n
    rolled = torch.stack([blurred.roll(i) for i in range(1, 500)])
    found = float(entropy(critic(u, blurred), critic(u, rolled)))
    assert found == pytest.approx(math.log(1 + 1 / r**2) / 2, abs=0.05)


class Halfway(torch.nn.Module):
    """A generator of one pixel: y' = x_t / 2 + z."""

    in_channels = 4

    def forward(self, x, t):
        return x[:, :2] / 2 + x[:, 2:]


def test_the_chain_is_the_papers():
    """X' = (1 - w) X + w y' + sqrt(w (1 - w) left v) z, w the step's share of the time left."""
    variance, steps = 0.3, 4
    score = LatentScore(Halfway(), Brownian(variance, t_min=0.0))
    sampler = Sampler(Ancestral(), Uniform(steps))
    x, noise = torch.randn(3, 2, 1, 1, dtype=F64), Noise(0, ["a", "b", "c"])
    walk = list(bridge(score, sampler).trajectory(x, noise))
    run = noise.child(0)
    for (_, t, now), (i, s, then) in zip(walk[:-1], walk[1:], strict=True):
        z = run.stream(f"latent/{float(t):.9g}")(now)
        share = (t - s) / t
        spread = (share * (1 - share) * t * variance).sqrt()
        wanted = (1 - share) * now + share * (score.scaled(now, t) / 2 + z)
        wanted = wanted + spread * run.stream(f"step/{i - 1}")(now)
        assert torch.allclose(then, wanted, atol=1e-9)


def made(width=32, variance=0.25, steps=3):
    torch.manual_seed(0)
    sde = Brownian(variance)
    module = UNSBModule(
        LatentScore(MLP(2, width=width, in_channels=4), sde),
        MLP(1, width=width, depth=2, in_channels=2),
        MLP(1, width=width, depth=2, in_channels=8),
        Sampler(Ancestral(), Uniform(steps)),
        optimizer=torch.optim.Adam,
        schedule=Constant(),
    )
    module.log = lambda *args, **kwargs: None
    return module


def batch(count, s1=0.5, s2=0.5):
    ids = [str(i) for i in range(count)]
    return {"x": s1 * torch.randn(count, 2, 1, 1), "y": s2 * torch.randn(count, 2, 1, 1), "id": ids}


def test_all_three_learn_and_each_its_own():
    module = made()
    for network in module.network.values():
        torch.nn.init.normal_(network.leave.weight, std=0.1)  # they begin at zero
    module.training_step(batch(8), 0).backward()
    assert all(p.grad is not None for p in module.network.parameters())
    assert all(n.enter.weight.grad.any() for n in module.network.values())
    with pytest.raises(ValueError, match="data.batch_size=2 or more"):
        module.training_step(batch(1), 0)


@pytest.mark.slow
def test_gaussian_ends_stay_and_are_not_a_map():
    """Points N(0, 1/4) to N(0, 1/4) at v = 1/4. A map has a correlation of 1, the bridge 0.62; the
    critic's bound is below the entropy, so what is learned lies between."""
    module = made(width=64)
    module.others, module.blur = 15, 0.2
    optimizer = torch.optim.Adam(module.network.parameters(), lr=1e-3, betas=(0.5, 0.9))
    steps = 1000
    for step in range(steps):
        module.draw, module.common = step, torch.Generator().manual_seed(step)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        optimizer.zero_grad()
        module.training_step(batch(128), step).backward()
        optimizer.step()
        module.ema.update(module.network)
    with torch.no_grad():
        x = 0.5 * torch.randn(4000, 2, 1, 1)
        y = bridge(module.averaged, module.sampler)(x, Noise(1, [str(i) for i in range(4000)]))
    x, y = x.flatten(1), y.flatten(1)
    spread = y.std(0)
    correlation = float(((x * y).mean(0) / (0.5 * spread)).mean())
    assert (spread - 0.5).abs().max() < 0.1
    assert covariance(0.25, 0.5, 0.5) / 0.25 - 0.05 < correlation < 0.92
