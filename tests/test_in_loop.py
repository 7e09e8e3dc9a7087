"""Gradient modes of a sampler in training: the same images, gradients that are what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from egsde.noise import Noise
from egsde.sampling.grids import Karras, LogSNR, Uniform
from egsde.sampling.sampler import Sampler, Walk
from egsde.scores.conditional import ConditionalScore
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import (
    DDIM,
    RK45,
    DPMSolverPP,
    EulerMaruyama,
    Heun,
    Langevin,
    PredictorCorrector,
    ReverseDiffusion,
    SDEDPMSolverPP,
    UniPC,
)
from egsde.training.in_loop import Adjoint, Checkpointed, Detached, Full, SquareRoot, Truncated

IDS = ["a", "b"]


class SmallNet(nn.Module):
    """A smooth network of (condition, image): (B, 6, H, W) -> (B, 3, H, W)."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(6, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 3, 3, padding=1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, t):
        hidden = torch.tanh(self.first(x) + t[:, None, None, None] / 1000)
        return self.second(self.drop(hidden)) + 0.7 * x[:, 3:]


class Problem:
    """A conditional score, its condition and a start; `gradients` of one scalar of the image."""

    def __init__(self, sde=None, dropout: float = 0.0) -> None:
        self.sde = sde or VP()
        self.net = SmallNet(dropout).double()
        self.score = ConditionalScore(self.net, self.sde)
        torch.manual_seed(1)
        self.x, self.made_from, self.weight = torch.randn(3, 2, 3, 4, 4, dtype=torch.float64)
        self.x.requires_grad_()
        self.made_from.requires_grad_()

    def gradients(self, mode, sampler, start=1.0, around=lambda score: score):
        condition = torch.tanh(self.made_from)  # made by another network: no leaf
        reverse = Reverse(self.sde, around(self.score.given(condition)))
        times = sampler.times(self.sde, start)
        torch.manual_seed(2)  # dropout
        y = mode(Walk(sampler, reverse, times, Noise(0, IDS)), self.x)
        inputs = [self.x, self.made_from, *self.net.parameters()]
        found = torch.autograd.grad((y * self.weight).sum(), inputs, materialize_grads=True,
                                    allow_unused=True)  # fmt: skip
        return y.detach(), found


def hidden(score):
    return lambda x, t: score(x, t)


def error(found, truth) -> float:
    """The largest relative error of x's, the condition's and each parameter's gradient."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True))


SAMPLERS = {
    "euler": Sampler(EulerMaruyama(), Uniform(7), denoise=True),
    "pc": Sampler(PredictorCorrector(ReverseDiffusion(), Langevin()), Uniform(4), denoise=False),
    "2m": Sampler(DPMSolverPP(2), LogSNR(7), denoise=False),
    "unipc": Sampler(UniPC(2), LogSNR(6), denoise=True),
    "sde2m": Sampler(SDEDPMSolverPP(2), LogSNR(5), denoise=False),
}
EXACT = [Checkpointed(), Checkpointed(3), SquareRoot(), Truncated(7)]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("mode", EXACT, ids=repr)
def test_exact_modes_have_the_gradients_of_full(mode, name, dropout):
    problem = Problem(dropout=dropout)
    y, truth = problem.gradients(Full(), SAMPLERS[name])
    same, found = problem.gradients(mode, SAMPLERS[name])
    assert torch.equal(y, same)
    assert error(found, truth) < 1e-12


@pytest.mark.parametrize("mode", [Checkpointed(), SquareRoot()], ids=repr)
def test_steps_into_clean_data_are_made_again_too(mode):
    problem = Problem(DDPM())
    sampler = Sampler(UniPC(2), LogSNR(9), denoise=False)
    y, truth = problem.gradients(Full(), sampler)
    same, found = problem.gradients(mode, sampler)
    assert torch.equal(y, same)
    assert error(found, truth) < 1e-12


def test_truncated_keeps_the_last_steps_only():
    problem = Problem()
    sampler = SAMPLERS["euler"]
    y, truth = problem.gradients(Full(), sampler)
    same, found = problem.gradients(Truncated(2), sampler)
    assert torch.equal(y, same)
    assert not found[0].any()  # x is seen through the first step alone
    assert error(found[1:], truth[1:]) > 1e-2
    problem.score.calls = 0
    problem.gradients(Truncated(2), sampler)
    assert problem.score.calls == 8  # nothing is evaluated twice


def test_detached_has_no_graph():
    problem = Problem()
    sampler = SAMPLERS["euler"]
    reverse = Reverse(problem.sde, problem.score.given(problem.made_from))
    times = sampler.times(problem.sde, 1.0)
    y = Detached()(Walk(sampler, reverse, times, Noise(0, IDS)), problem.x)
    assert not y.requires_grad
    assert y.grad_fn is None
    assert torch.equal(y, Full()(Walk(sampler, reverse, times, Noise(0, IDS)), problem.x))


@pytest.mark.parametrize(
    ("solver", "order", "denoise"),
    [(DDIM(), 1, False), (Heun(), 2, True), (DPMSolverPP(2), 2, False)],
    ids=["ddim", "heun", "2m"],
)
def test_the_adjoint_approaches_full_with_the_solvers_order(solver, order, denoise):
    problem, errors = Problem(), []
    for steps in (30, 60, 120):
        sampler = Sampler(solver, LogSNR(steps), denoise=denoise)
        y, truth = problem.gradients(Full(), sampler, start=0.8)
        same, found = problem.gradients(Adjoint(), sampler, start=0.8)
        assert torch.equal(y, same)
        errors.append(error(found, truth))
    slope = float(torch.tensor(errors[:-1]).div(torch.tensor(errors[1:])).log2()[-1])
    print(solver, denoise, errors, slope)
    assert slope == pytest.approx(order, abs=0.15)
    assert errors[-1] < 4e-2


@dataclass(frozen=True)
class Halved:
    """A score inside another, as a decorator has it."""

    score: Callable

    def __call__(self, x, t):
        return 0.5 * self.score(x, t)


@pytest.mark.parametrize("around", [lambda score: score, Halved], ids=["given", "inside"])
def test_the_adjoint_of_a_chain(around):
    problem = Problem(DDPM())
    sampler = Sampler(DPMSolverPP(2), Karras(70), denoise=False)
    y, truth = problem.gradients(Full(), sampler, around=around)
    same, found = problem.gradients(Adjoint(), sampler, around=around)
    assert torch.equal(y, same)
    assert error(found, truth) < 2e-2


def test_the_adjoint_of_an_adaptive_solver_goes_back_on_a_grid_of_its_own():
    problem = Problem()
    adaptive = Sampler(RK45(1e-8, 1e-8), Uniform(1), denoise=False)
    truth = problem.gradients(Full(), Sampler(Heun(), LogSNR(200), denoise=False), start=0.8)[1]
    found = problem.gradients(Adjoint(LogSNR(100)), adaptive, start=0.8)[1]
    assert error(found, truth) < 5e-3


def test_the_adjoint_refuses_what_is_no_ode():
    with pytest.raises(ValueError, match="adds noise; use a deterministic"):
        Problem().gradients(Adjoint(), SAMPLERS["euler"])
    with pytest.raises(ValueError, match="dropout is active in net.drop"):
        Problem(dropout=0.1).gradients(Adjoint(), SAMPLERS["2m"])
    with pytest.raises(ValueError, match="cannot see"):
        Problem().gradients(
            Adjoint(), SAMPLERS["2m"], around=lambda score: lambda x, t: score(x, t)
        )
    with pytest.raises(ValueError, match="last >= 1"):
        Truncated(0)
    with pytest.raises(ValueError, match="segment >= 1"):
        Checkpointed(0)
