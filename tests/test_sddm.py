"""SDDM: blocks, their statistics, tangent directions, the common descent, translations."""

from __future__ import annotations

import pytest
import torch

from demo_networks import write_networks
from egsde.constraints import MatchBlocks
from egsde.energies import LowPassL2
from egsde.linear.blocks import join, split
from egsde.methods import sddm
from egsde.methods.diffusion import networks_of
from egsde.methods.sddm import MultiGradientScore, along, shortest
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler
from egsde.sde import DDPM, VP
from egsde.sde.reverse import Reverse
from egsde.solvers import Ancestral
from egsde.source import Source
from problems import Gaussian, Mixture, Quadratic, f64
from runs import composed

IDS = ["a", "b"]


def images(seed: int = 0) -> torch.Tensor:
    generator = torch.manual_seed(seed)
    return torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1


def source(sde) -> Source:
    return Source(images(1), sde, Noise(0, IDS))


def test_blocks_are_the_squares_of_the_image():
    x = images()
    parts = split(x, 4)
    assert parts.shape == (2, 3, 4, 4, 4)
    assert torch.equal(parts[0, 1, 2, 3], x[0, 1, 4:6, 6:8].flatten())
    assert torch.equal(join(parts, x), x)
    with pytest.raises(ValueError, match="3 blocks a side do not divide 8 x 8"):
        split(x, 3)


@pytest.mark.parametrize("sde", [VP(), DDPM()], ids=repr)
def test_the_constraint_gives_the_moments_of_the_noised_source_and_is_a_projection(sde):
    t, constraint = f64(0.7), MatchBlocks(2, until=0.3)
    y = constraint(images(), t, source(sde))
    ours, theirs = split(y, 2), split(images(1), 2)
    variance = sde.alpha(t).square() * theirs.var(-1) + sde.sigma(t).square()
    assert torch.allclose(ours.mean(-1), sde.alpha(t) * theirs.mean(-1), atol=1e-12)
    assert torch.allclose(ours.var(-1), variance, rtol=1e-12)
    assert torch.allclose(constraint(y, t, source(sde)), y, atol=1e-12)
    assert torch.equal(constraint(images(), f64(0.3), source(sde)), images())


def test_a_direction_along_the_manifold_keeps_mean_and_variance_to_first_order():
    y, direction, h = images(), torch.randn(2, 3, 8, 8, dtype=torch.float64), 1e-6
    center = split(y, 2).mean(-1, keepdim=True)
    inside = along(direction, y, center, 2)
    before, after = split(y, 2), split(y + h * inside, 2)
    assert torch.allclose(after.mean(-1), before.mean(-1), atol=1e-14)
    assert (after.var(-1) - before.var(-1)).abs().max() < 100 * h**2
    assert torch.allclose(along(inside, y, center, 2), inside, atol=1e-12)
    rest = direction - inside
    assert (rest * inside).flatten(1).sum(1).abs().max() < 1e-12


def test_the_shortest_combination_of_two_is_exact_and_of_three_opposes_none():
    generator = torch.manual_seed(0)
    two = torch.randn(5, 2, 7, generator=generator, dtype=torch.float64)
    a, b = two[:, 0], two[:, 1]
    share = ((b - a) * b).sum(-1, keepdim=True) / (a - b).square().sum(-1, keepdim=True)
    share = share.clamp(0, 1)
    assert torch.allclose(shortest(two), share * a + (1 - share) * b, atol=1e-12)
    three = torch.randn(5, 3, 7, generator=generator, dtype=torch.float64)
    common = shortest(three, 3000)
    inner = (three * common[:, None]).sum(-1)  # >= |common|^2: no expert is opposed
    assert (inner - common.square().sum(-1, keepdim=True)).min() > -2e-3


def test_balancing_leaves_the_rest_of_the_score_and_stops_with_the_energies():
    sde = VP()
    score = Mixture().score(sde)
    y, t = images(), f64(0.3)
    center = sde.alpha(t) * split(images(1), 2).mean(-1, keepdim=True)
    guided = MultiGradientScore(score, {"pull": LowPassL2(2)}, blocks=2, until=0.2)
    change = guided(y, t, source(sde)) - score(y, t)
    assert change.abs().max() > 1e-3
    assert torch.allclose(along(change, y, center, 2), change, atol=1e-10)
    assert torch.equal(guided(y, f64(0.2), source(sde)), score(y, f64(0.2)))
    assert torch.equal(MultiGradientScore(score, {}, blocks=2)(y, t, source(sde)), score(y, t))


def test_a_translation_keeps_the_blocks_means_of_its_source():
    sde, x = DDPM(), images(1).float()
    score, sampler = Gaussian(0.0, 0.1).score(sde), Sampler(Ancestral(), Uniform(50), denoise=False)
    translate = sddm(score, sampler, {"pull": Quadratic(center=0.0)}, blocks=4, until=0.02)
    y = translate(x, Noise(0, IDS))
    ours, theirs = split(y, 4).mean(-1), split(x, 4).mean(-1)
    assert (ours - theirs).square().mean() < 0.1 * (ours - theirs.flip(0)).square().mean()
    assert torch.equal(translate(x[1:], Noise(0, ["b"])), y[1:]) and y.dtype == torch.float32


def test_refinements_repeat_the_mean_of_the_last_step_on_the_manifold():
    """Of N(0, v) the mean of a step is a multiple of x, and of five its fifth power."""
    sde, data, x = DDPM(), Gaussian(0.0, 0.1), images().float()
    sampler = Sampler(Ancestral(), Uniform(10), denoise=False)

    def ends(until, refinements):
        walk = sddm(data.score(sde), sampler, {}, 4, until, refinements=refinements)
        refined = walk.sampler.solver
        reverse, t, s = Reverse(sde, data.score(sde)), f64(0.6), f64(0.5)
        return refined.step(reverse, x, t, s, torch.zeros_like)[0]

    plain = ends(0.5, 0)
    assert torch.equal(ends(0.4, 4), plain) and torch.equal(ends(0.6, 4), plain)
    ratio = plain / x
    assert torch.allclose(ends(0.5, 4), x * ratio**5, rtol=1e-4)


def test_on_the_command_line(tmp_path):
    weights = [w for w in write_networks(tmp_path) if w.split(".")[0] in ("score", "extractor")]
    cfg = composed("sample", tmp_path, "experiment=none", "translator=sddm", *weights,
                   "sampler.grid.steps=10", "translator.blocks=4", "translator.refinements=4",
                   "translator.terms.faithfulness.factor=2")  # fmt: skip
    translate = build_translator(cfg)
    assert set(networks_of(translate)) == {"score", "extractor"}
    assert translate(torch.rand(1, 3, 16, 16), Noise(0, ["a"])).isfinite().all()
