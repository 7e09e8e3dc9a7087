"""Losses of the score against recorded values, closed forms and each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.scores import ScoreModel
from egsde.scores.predictions import (
    EDMPrediction,
    EpsPrediction,
    ScorePrediction,
    VPrediction,
    X0Prediction,
)
from egsde.sde import EDM as EDMProcess
from egsde.sde import NCSN, VE, VP, CosineVP, SubVP
from egsde.training.objectives import (
    DenoisingScoreMatching,
    ExplicitScoreMatching,
    Simple,
    SlicedScoreMatching,
    gaussian,
    likelihood,
    rademacher,
    sigma_squared,
)
from problems import RecordedMixture
from shared import shared_path
from small_scores import Exact, Net, batch

PROCESSES = {"vp": VP(), "subvp": SubVP(), "ve": VE()}


@pytest.mark.parametrize("mean", [0, 1])
@pytest.mark.parametrize("weighting", [sigma_squared, likelihood])
@pytest.mark.parametrize("name", PROCESSES)
def test_denoising_losses_are_score_sdes(name, weighting, mean):
    """The 12 recorded losses of the mixture's exact score."""
    recorded = np.load(shared_path("oracles/losses.npz"))
    x0, t, z = (torch.from_numpy(recorded[key]) for key in ("x0", "t", "z"))
    sde = PROCESSES[name]
    loss = DenoisingScoreMatching(weighting, mean=bool(mean))
    exact = Exact(sde, RecordedMixture().score(sde))
    ours = loss(exact, x0, t[:, None, None, None], z).mean()
    weighted = int(weighting is likelihood)
    expected = float(recorded[f"{name}_lw{weighted}_mean{mean}"])
    assert float(ours) == pytest.approx(expected, rel=1e-12)


def test_ncsns_objective_is_half_the_weighted_sum_over_levels():
    sde = NCSN(torch.linspace(0.1, 2, 7, dtype=torch.float64))
    model = ScoreModel(Net(), sde, ScorePrediction(raw_input=True))
    x0, t, eps = batch(64, sde)
    sigma = sde.sigmas[(t * 7).round().long() - 1]
    x = x0 + sigma * eps
    score = model.net(x, (t * 7).round().flatten() - 1)
    by_hand = 0.5 * sigma.flatten() ** 2 * (score + eps / sigma).square().flatten(1).sum(1)
    ours = DenoisingScoreMatching(sigma_squared, mean=False)(model, x0, t, eps)
    assert torch.allclose(ours, by_hand, rtol=1e-10)


@pytest.mark.parametrize("sde", [VP(), VE(), EDMProcess(), CosineVP()], ids=repr)
def test_simple_losses_are_weighted_denoising_losses(sde):
    """MSE of eps, x_0, v and EDM's output differ by known weights only."""
    x0, t, eps = batch(200, sde)
    alpha, sigma = sde.alpha(t).flatten(), sde.sigma(t).flatten()
    power = alpha**2 + sigma**2
    weights = {
        EpsPrediction(): torch.ones_like(alpha),
        X0Prediction(): (sigma / alpha) ** 2,
        VPrediction(): power / alpha**2,
        ScorePrediction(): 1 / sigma**2,
        EDMPrediction(): ((alpha / 2) ** 2 + sigma**2) / (alpha / 2) ** 2,
    }
    for prediction, weight in weights.items():
        model = ScoreModel(Net(), sde, prediction)
        simple = Simple()(model, x0, t, eps)
        denoising = DenoisingScoreMatching()(model, x0, t, eps)
        assert torch.allclose(simple, weight * denoising, rtol=1e-6, atol=1e-9)


def linear(sde, matrix: Tensor):
    return Exact(sde, lambda x, t: (x.flatten(1) @ matrix.T).view_as(x))


def test_the_trace_of_a_linear_score_is_exact():
    sde, matrix = VP(), torch.randn(4, 4, dtype=torch.float64)
    x0, t, eps = batch(30, sde, 4)
    ours = ExplicitScoreMatching()(linear(sde, matrix), x0, t, eps)
    s = sde.perturb(x0, t, eps).flatten(1) @ matrix.T
    expected = sde.sigma(t).flatten() ** 2 * (matrix.trace() + 0.5 * s.square().sum(1)) / 4
    assert torch.allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("project", [rademacher, gaussian])
@pytest.mark.parametrize("reduced", [True, False])
def test_projections_average_to_the_exact_trace(project, reduced):
    sde = VE()
    model = ScoreModel(Net(), sde, EpsPrediction())
    x0, t, eps = (part.repeat_interleave(4000, 0) for part in batch(4, sde))
    sliced = SlicedScoreMatching(project, reduced=reduced)(model, x0, t, eps).view(4, 4000)
    exact = ExplicitScoreMatching()(model, x0, t, eps).view(4, 4000)[:, 0]
    error = sliced.std(1) / 4000**0.5
    assert ((sliced.mean(1) - exact).abs() < 4 * error + 1e-12).all()
    several = SlicedScoreMatching(project, 16, reduced)(model, x0, t, eps).view(4, 4000)
    assert (several.std(1) < 0.3 * sliced.std(1) + 1e-12).all()


def test_matching_with_and_without_the_target_differs_by_a_constant():
    """E half DSM = E ESM + 1/2 per element, and so do their gradients (Vincent 2011)."""
    sde = VP()
    model = ScoreModel(Net(), sde, EpsPrediction())
    x0, t, eps = batch(1, sde)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)  # exact averages over eps
    z = torch.from_numpy(
        np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2, 1, 1)
    )
    w = torch.from_numpy(np.outer(weights, weights).ravel() / weights.sum() ** 2)
    x0, t = x0.expand_as(z), t.expand(len(z), 1, 1, 1)
    sides = []
    for loss, factor in ((DenoisingScoreMatching(), 0.5), (ExplicitScoreMatching(), 1.0)):
        value = factor * (w * loss(model, x0, t, z)).sum()
        sides.append((value, torch.autograd.grad(value, list(model.parameters()))))
    (half, gradient), (explicit, other) = sides
    assert float(half - explicit) == pytest.approx(0.5, abs=1e-6)
    for a, b in zip(gradient, other, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_derivatives_are_taken_in_an_evaluation_loop():
    model, (x0, t, eps) = ScoreModel(Net(), VP()), batch(8, VP())
    expected = ExplicitScoreMatching()(model, x0, t, eps)
    with torch.inference_mode():
        inside = [part + 0 for part in (x0, t, eps)]
        assert torch.equal(ExplicitScoreMatching()(model, *inside), expected)
        SlicedScoreMatching()(model, *inside)
