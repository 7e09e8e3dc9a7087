"""ILVR: a recorded official run, the constraint it imposes, and its clipped score."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from egsde.constraints.reference import level
from egsde.linear.filters import LowPass, box, cubic, linear
from egsde.methods import ilvr
from egsde.networks import read_weights
from egsde.noise import Noise, Replay
from egsde.sampling.grids import Respaced, Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import ScoreModel
from egsde.scores.decorators import Clipped, LearnedV
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import DDIM, Ancestral, LearnedVariance
from egsde.solvers.ancestral import kernel_std
from egsde.source import Source
from official import network
from problems import Gaussian, Mixture, Pointwise, f64, named
from shared import shared_path

NAME = "fixtures/traj_ilvr_10"
IDS = ["a", "b"]


def images(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.manual_seed(0), dtype=dtype) * 2 - 1


def test_ilvr_equals_10_official_steps():
    """ilvr_adm's loop: respaced chain, clipped x0, learned variance, cubic filter, range_t = 3."""
    recorded = read_weights(shared_path(f"{NAME}.safetensors"))
    meta = json.loads(shared_path(f"{NAME}.json").read_text())
    sde, grid = DDPM(), Respaced(10)
    times = grid.times(sde, 1.0)
    assert torch.equal(sde.level(times[:-1]).flip(0) - 1, recorded["timestep_map"])
    stds = torch.stack([sde.transition(s, t)[1] for t, s in zip(times, times[1:], strict=False)])
    assert torch.allclose(stds.square().flip(0), recorded["betas_spaced"], rtol=1e-9)

    score = ScoreModel(network("adm", meta["score_fixture"]), sde)
    draws = {f"0/step/{i}": [z] for i, z in enumerate(recorded["p_noise"])}
    draws |= {f"0/source/{i}/0": [z] for i, z in enumerate(recorded["ref_noise"])}
    until = (int(recorded["timestep_map"][meta["range_t"]]) + 1) / 1000
    translate = ilvr(
        score,
        Sampler(Ancestral(), grid, denoise=False),
        LowPass(meta["N"], cubic),
        until=until,
        old_time=True,
        learned_variance=True,
    )
    # Officially x_T is N(0, 1) where sigma_T = 0.99998
    translate = replace(translate, start=lambda *_: recorded["noise0"])
    states = [y for _, _, y in translate.trajectory(recorded["ref"], Replay(draws))]
    assert (torch.stack(states[1:]) - recorded["samples"]).abs().max() < 1e-4
    assert score.calls == 10  # the variance costs no second evaluation


@pytest.mark.parametrize("old_time", [False, True])
@pytest.mark.parametrize("sde", [DDPM(), VP()], ids=named)
@pytest.mark.parametrize("solver", [Ancestral(), DDIM()], ids=named)
def test_low_frequencies_equal_the_references_at_every_step(solver, sde, old_time):
    """With a projection; in float64 to rounding, and at the end those of the source itself."""
    low_pass, x0, seen = LowPass(4, box), images(), []
    translate = ilvr(
        Mixture().score(sde),
        Sampler(solver, Uniform(30), denoise=True),
        low_pass,
        old_time=old_time,
    )
    check = translate.constraint

    def watched(y, t, source):
        y = check(y, t, source)
        x_t = source.at(source.now if old_time and t > 0 else t)
        seen.append(float((low_pass(y) - low_pass(x_t)).abs().max()))
        return y

    y = replace(translate, constraint=watched)(x0, Noise(0, IDS))
    assert len(seen) == 30 + (sde.t_min > 0) and max(seen) < 1e-12
    if not old_time or sde.t_min > 0:
        assert (low_pass(y) - low_pass(x0)).abs().max() < 1e-12
    single = translate(x0.float(), Noise(0, IDS))
    if not old_time:
        assert (low_pass(single) - low_pass(x0.float())).abs().max() < 1e-6


@pytest.mark.parametrize("kernel", [linear, cubic])
def test_official_kernels_are_no_projections(kernel):
    low_pass, x = LowPass(4, kernel), images()
    assert (low_pass(low_pass(x)) - low_pass(x)).abs().max() > 0.01
    assert (LowPass(4, box)(LowPass(4, box)(x)) - LowPass(4, box)(x)).abs().max() < 1e-14


def test_box_is_the_mean_of_each_block():
    x = images()
    means = x.unflatten(-1, (4, 4)).unflatten(-3, (4, 4)).mean((-1, -3))
    expected = means.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert torch.allclose(LowPass(4, box)(x), expected, atol=1e-14)


def test_nothing_is_imposed_below_until():
    sde, x0, times = DDPM(), images(), []
    translate = ilvr(
        Gaussian().score(sde),
        Sampler(Ancestral(), Uniform(20), denoise=False),
        LowPass(4, box),
        until=0.3,
    )
    inner = translate.constraint

    def watched(y, t, source):
        after = inner(y, t, source)
        times.append((float(t), not torch.equal(after, y)))
        return after

    replace(translate, constraint=watched)(x0, Noise(0, IDS))
    assert [imposed for _, imposed in times] == [t > 0.29 for t, _ in times]
    assert sum(imposed for _, imposed in times) == 14


def test_clipped_score_is_that_of_the_clipped_image():
    sde, t = DDPM(), f64(0.7)
    score = Gaussian(0.9, 0.5).score(sde)
    y = 3 * images()
    x0 = Reverse(sde, score).x0(y, t)
    clipped = Reverse(sde, Clipped(score)).x0(y, t)
    assert torch.allclose(clipped, x0.clamp(-1, 1), atol=1e-12) and (x0 > 1).any()
    with pytest.raises(ValueError, match="low < high"):
        Clipped(score, low=1.0, high=-1.0)


class TwoHalves(torch.nn.Module):
    """A noise predictor whose second half of channels is `value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x, t):
        eps = Pointwise()(x, t)
        return torch.cat([eps, torch.full_like(eps, self.value)], 1)


@pytest.mark.parametrize(("value", "variance"), [(-1.0, None), (1.0, kernel_std)])
def test_learned_variance_lies_between_the_posterior_and_beta(value, variance):
    sde, t, s, x = DDPM(), f64(0.5), f64(0.4), images()
    fixed = Ancestral(variance) if variance else Ancestral()
    both = LearnedV(ScoreModel(TwoHalves(value), sde))
    steps = [
        solver.step(Reverse(sde, both), x, t, s, torch.ones_like)[0]
        for solver in (LearnedVariance(both.learned_v), fixed)
    ]
    assert torch.allclose(*steps, atol=1e-12)
    assert both.score.calls == 2


def test_a_network_without_a_variance_is_an_error():
    sde = DDPM()
    sampler = Sampler(Ancestral(), Uniform(10), denoise=False)
    translate = ilvr(ScoreModel(Pointwise(), sde), sampler, LowPass(4), learned_variance=True)
    with pytest.raises(ValueError, match="6 output channels, got 3"):
        translate(images(), Noise(0, IDS))


def test_old_time_is_the_time_before_the_step():
    sde = DDPM()
    source = Source(images(), sde, Noise(0, IDS), "fresh")
    source.begin(3, f64(0.6))
    assert level(source, f64(0.5), True) == 0.6 and level(source, f64(0.5), False) == 0.5
    assert level(source, f64(0.0), True) == 0.0
