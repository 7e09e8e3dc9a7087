"""The variational loss and the hybrid against guided-diffusion and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from egsde.evaluation.likelihood.terms import Discretised
from egsde.scores import ScoreModel
from egsde.scores.predictions import EDMPrediction
from egsde.sde import DDPM, NCSN, VE, VP, CosineVP, SubVP
from egsde.sde import EDM as EDMProcess
from egsde.training.objectives import Hybrid, Simple, VariationalLoss, variational_terms
from egsde.training.objectives.variational import learned_log_variance
from problems import RecordedMixture
from shared import shared_path
from small_scores import Net, batch


def approximate_cdf(x: Tensor) -> Tensor:
    """guided-diffusion's tanh."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def recorded_steps():
    """The recorded model: the mixture's exact noise, and tanh(x) for the variance."""
    recorded = np.load(shared_path("oracles/guided_diffusion_steps.npz"))
    sde = DDPM()
    t = torch.from_numpy(recorded["t"]).double()[:, None, None, None]
    return recorded, sde, ((t + 1) / 1000, t / 1000)


def test_learned_variances_are_guided_diffusions():
    recorded, sde, (t, s) = recorded_steps()
    x = torch.from_numpy(recorded["x"]).double()
    ours = learned_log_variance(sde, t, s, torch.tanh(x))
    assert np.abs(ours.numpy() - recorded["pmv_log_variance"]).max() < 2e-6
    smallest = learned_log_variance(sde, t, s, x[:, :0]).flatten()
    expected = recorded["posterior_log_variance_clipped"][recorded["t"]]
    assert np.abs(smallest.numpy() - expected).max() < 1e-9


def test_the_terms_of_the_bound_are_guided_diffusions():
    recorded, sde, (t, s) = recorded_steps()
    x0, x = (torch.from_numpy(recorded[key]).double() for key in ("x0", "q_sample"))
    score = RecordedMixture().score(sde)(x, t)
    x0_hat = ((x + sde.sigma(t).square() * score) / sde.alpha(t)).clamp(-1, 1)
    log_variance = learned_log_variance(sde, t, s, torch.tanh(x))
    decoder = Discretised(cdf=approximate_cdf)
    bits = variational_terms(sde, x0, x, (t, s), x0_hat, log_variance, decoder=decoder)
    assert np.abs(bits.numpy() - recorded["vb_bpd"]).max() < 1e-5


def test_the_hybrid_teaches_the_mean_by_the_simple_loss_only():
    sde = DDPM()
    model = ScoreModel(Net(2, 4), sde)
    x0, t, eps = batch(40, sde)
    names = [name for name, _ in model.net.named_parameters()]

    def gradients(loss):
        value = loss(model, x0, t, eps).mean()
        return dict(
            zip(names, torch.autograd.grad(value, list(model.net.parameters())), strict=True)
        )

    simple, hybrid, bound = map(gradients, (Simple(), Hybrid(), VariationalLoss()))
    assert torch.allclose(hybrid["last.bias"][:2], simple["last.bias"][:2])
    assert torch.allclose(hybrid["last.bias"][2:], 1e-3 * bound["last.bias"][2:])
    assert not bound["last.bias"][:2].allclose(torch.zeros(2, dtype=torch.float64))
    total = Simple()(model, x0, t, eps) + 1e-3 * VariationalLoss()(model, x0, t, eps)
    assert torch.allclose(Hybrid()(model, x0, t, eps), total, rtol=1e-9)
    with pytest.raises(ValueError, match="network.learn_sigma=true"):
        Hybrid()(ScoreModel(Net(2, 2), sde), x0, t, eps)


def test_the_best_learned_variance_is_that_of_the_reverse_step():
    """Data N(0, 0.02^2): Var(x_s | x_t) lies between the fixed variances; L_s is least there."""
    sde, data = DDPM(), 0.02
    t, s = (torch.full((1, 1, 1, 1), level / 1000, dtype=torch.float64) for level in (3, 2))
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 20000, 1, 1, 1, generator=generator, dtype=torch.float64)
    x0 = data * x0
    x = sde.perturb(x0, t, eps)
    variance = (sde.alpha(t) * data) ** 2 + sde.sigma(t) ** 2
    x0_hat = sde.alpha(t) * data**2 / variance * x
    shares = torch.linspace(-1, 1, 41, dtype=torch.float64).view(-1, 1, 1, 1, 1)
    logs = [learned_log_variance(sde, t, s, v) for v in shares]
    bits = [variational_terms(sde, x0, x, (t, s), x0_hat, log).mean() for log in logs]
    _, std = sde.transition(s, t)
    unknown = (sde.alpha(s) * std**2 / sde.sigma(t)) ** 2 * data**2 / variance
    true = (logs[0].exp() + unknown).log()
    best = logs[int(torch.stack(bits).argmin())]
    assert 0.2 < float((true - logs[0]) / (logs[-1] - logs[0])) < 0.8
    assert float((best - true).abs() / (logs[-1] - logs[0])) < 0.06


@pytest.mark.parametrize(("sde", "steps"), [(VE(), 1000), (DDPM(), 1500)])
def test_bounds_are_refused_where_there_is_no_such_chain(sde, steps):
    with pytest.raises(ValueError, match="sigma = 0"):
        VariationalLoss(steps)(ScoreModel(Net(), sde), *batch(4, sde))


@pytest.mark.parametrize("sde", [VP(), SubVP(), CosineVP(), NCSN(), EDMProcess()], ids=repr)
def test_the_bound_is_finite_on_every_clean_process(sde):
    model = ScoreModel(Net(2, 4), sde, EDMPrediction())
    x0, _, eps = batch(64, sde)
    t = sde.training_time(torch.linspace(0, 1 - 1e-9, 64, dtype=torch.float64)[:, None, None, None])
    steps = len(sde.sigmas) if "NCSN" in repr(sde) else 1000
    loss = Hybrid(steps)(model, x0, t, eps).mean()
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in model.net.parameters())
