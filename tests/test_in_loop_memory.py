"""Memory of the gradient modes, counted exactly: what is held, and the peak of the way back."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from egsde.noise import Noise
from egsde.sampling.grids import Uniform
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores import ScoreModel
from egsde.sde import VP, Reverse
from egsde.solvers import DDIM, DPMSolverPP, EulerMaruyama
from egsde.training.in_loop import Adjoint, Checkpointed, Detached, Full, SquareRoot, Truncated
from egsde.training.in_loop.memory import LiveBytes

IMAGE = 3 * 4 * 4 * 4  # bytes
ACTIVATION = 1024 * IMAGE
LAYERS = 8


class Wide(nn.Module):
    """Activations that are many times larger than the image."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((LAYERS,), 0.7))

    def forward(self, x, t):
        hidden = x.repeat(1, 1024, 1, 1)
        for gain in self.gain:
            hidden = torch.tanh(gain * hidden)
        return hidden.unflatten(1, (1024, 3)).mean(1)


def sampled(mode, steps: int, score: ScoreModel, solver=None):
    solver = solver or (DDIM() if mode == Adjoint() else EulerMaruyama())
    sampler = Sampler(solver, Uniform(steps), denoise=False)
    x = torch.linspace(-1, 1, IMAGE // 4).view(1, 3, 4, 4)
    times = sampler.times(score.sde, 1.0)
    return mode(Walk(sampler, Reverse(score.sde, score), times, Noise(0, ["a"])), x)


def bytes_of(mode, steps: int, solver=None) -> tuple[int, int]:
    """(held between forward and backward, the peak of both)."""
    score = ScoreModel(Wide(), VP())
    with LiveBytes() as live:
        loss = sampled(mode, steps, score, solver).square().sum()
        held = live.now
        loss.backward()
    return held, live.peak


@pytest.mark.parametrize("mode", [Full(), Checkpointed(), SquareRoot(), Adjoint()], ids=repr)
def test_the_count_is_the_allocators(mode):
    score = ScoreModel(Wide(), VP())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        sampled(mode, 6, score).square().sum().backward()
    now = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    assert bytes_of(mode, 6)[1] == pytest.approx(peak, rel=1e-3)


def test_full_keeps_every_step():
    held, peak = zip(*(bytes_of(Full(), steps) for steps in (5, 10, 15)), strict=True)
    assert held[1] - held[0] == pytest.approx(held[2] - held[1], rel=1e-3)
    assert held[1] - held[0] > 5 * LAYERS * ACTIVATION
    assert peak[2] - held[2] < 3 * ACTIVATION


def test_checkpoints_keep_one_image_a_step():
    (few, low), (many, high) = (bytes_of(Checkpointed(), steps) for steps in (10, 40))
    assert (many - few) / 30 == pytest.approx(IMAGE, rel=0.1)
    growth = (high - low) / 30
    assert low + 990 * growth < 1.2 * low  # at 1000 steps; measured below


@pytest.mark.parametrize(
    ("solver", "images"), [(EulerMaruyama(), 1), (DPMSolverPP(2), 2)], ids=["one", "two"]
)
def test_square_root_keeps_two_square_roots_of_states(solver, images):
    """A multistep solver's state is two images, the second in what it carries."""
    (_, low), (_, high) = (bytes_of(SquareRoot(), steps, solver) for steps in (9, 25))
    assert high - low < (10 - 6 + 2) * images * IMAGE + 25 * 16 * images  # and the times


def test_what_does_not_know_the_steps():
    for mode in (Truncated(1), Adjoint()):
        (_, low), (_, high) = (bytes_of(mode, steps) for steps in (10, 30))
        assert high - low < 20 * 40  # the times
    with LiveBytes() as live:
        y = sampled(Detached(), 10, ScoreModel(Wide(), VP()))
        assert live.now < 2 * y.nbytes + 10 * 16
    assert live.peak < 4 * ACTIVATION


def test_checkpoints_of_several_steps_trade_images_for_activations():
    few = bytes_of(Checkpointed(1), 12)
    many = bytes_of(Checkpointed(4), 12)
    assert many[0] < few[0]
    assert many[1] > few[1] + 2 * LAYERS * ACTIVATION


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Checkpointed(), SquareRoot(), Adjoint()], ids=repr)
def test_a_thousand_steps_take_the_memory_of_ten(mode):
    assert bytes_of(mode, 1000)[1] < 1.2 * bytes_of(mode, 10)[1]
