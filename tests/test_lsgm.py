"""LSGM (Vahdat 2021): exact on a linear Gaussian autoencoder, trained, kept and sampled."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import egsde
from egsde.networks import LSGM
from egsde.networks.lsgm import MixedNetwork
from egsde.programs.build import Parts
from egsde.scores import MixedScore, ScoreModel
from egsde.scores.predictions import EpsPrediction, VPrediction
from egsde.sde import DDPM, EDM, VE, VP, GeometricVP, SubVP
from egsde.training.draws import Unkeyed
from egsde.training.modules import LSGMModule
from egsde.training.objectives import CrossEntropy, Importance, UniformTimes, reweighted
from egsde.training.schedules import Constant
from problems import Gaussian, f64
from runs import command, composed, trained


class LinearVAE(nn.Module):
    """p(x | z) = N(slope z, std^2), q(z | x) = N(gain x, variance): one latent a pixel."""

    codes, z_channels, factor = None, 1, 1

    def __init__(self, slope: float, gain: float, variance: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))
        self.log_variance = math.log(variance)
        self.register_buffer("scale", torch.ones(()))

    def moments(self, x):
        return self.gain * x, torch.full_like(x, self.log_variance)

    def decoder(self, z):
        return self.slope * z


class Linear(nn.Module):
    """eps of N(0, variance) data under the process: what an ideal network has learned."""

    in_channels = 1

    def __init__(self, sde, variance: float) -> None:
        super().__init__()
        self.sde, self.variance = sde, variance
        self.bias = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x, label):
        t = (label / 999).view(-1, 1, 1, 1)
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        return sigma * x / (alpha.square() * self.variance + sigma.square()) + self.bias


SLOPE, PRIOR, STD = 1.5, 0.6, 0.4  # z ~ N(0, PRIOR), x = SLOPE z + STD eps
RAW = EpsPrediction(raw_input=True)
EVIDENCE = SLOPE**2 * PRIOR + STD**2


def problem(sde, mixing=40.0, gain=None, times=None, **options):
    """A module whose prior is exactly N(0, PRIOR); gain: of another encoder than the posterior."""
    variance = 1 / (1 / PRIOR + SLOPE**2 / STD**2)
    best = variance * SLOPE / STD**2
    vae = LinearVAE(SLOPE, best if gain is None else gain, variance)
    net = LSGM(vae, Linear(sde, PRIOR), mixing)
    make = lambda p: torch.optim.SGD(p, lr=0.1)  # noqa: E731
    times = Importance() if times is None else times
    module = LSGMModule(net, sde, make, Constant(), RAW, times=times, std=STD, **options)
    module.draws = Even()
    return module


class Even(Unkeyed):
    """Times that divide the unit interval evenly: little noise is left."""

    def uniform(self, x):
        return ((torch.arange(len(x), dtype=torch.float64) + 0.5) / len(x)).view(-1, 1, 1, 1)


def images(n: int, side: int = 32) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(n, 1, side, side, dtype=torch.float64) * EVIDENCE**0.5


def log_p(x):
    return (-0.5 * x.square() / EVIDENCE - 0.5 * math.log(2 * math.pi * EVIDENCE)).sum((1, 2, 3))


@pytest.mark.parametrize("sde", [GeometricVP(), VP(), SubVP(), VE(0.01, 80.0)], ids=repr)
def test_the_bound_is_the_evidence_where_all_is_exact(sde):
    """Closed-form posterior and latent score: -bound = log p, on average over the data."""
    x = images(2000)
    gap = (problem(sde).bound(x) + log_p(x)).mean() / x[0].numel()
    assert abs(float(gap)) < 0.03  # noise of the estimate


def test_another_encoder_or_prior_only_loosens_it():
    x = images(500)
    exact = float(-log_p(x).mean()) / x[0].numel()
    for other in (problem(VP(), gain=0.4), problem(VP(), mixing=-40.0)):
        assert float(other.bound(x).mean()) / x[0].numel() > exact + 0.05


def test_alpha_zero_is_the_gaussian_prior():
    """The bound is that of a plain VAE with N(0, 1), in closed form."""
    sde, x = GeometricVP(), images(1000)
    module = problem(sde, mixing=-40.0)
    y, t = images(3), f64(0.3)
    assert torch.allclose(module.score(y, t), -y)
    vae = module.network.vae
    mean, log_variance = vae.moments(x)
    variance = log_variance.exp()
    kl = 0.5 * (mean.square() + variance - 1 - log_variance)
    away = (x - SLOPE * mean).square() + SLOPE**2 * variance
    plain = kl + 0.5 * away / STD**2 + 0.5 * math.log(2 * math.pi * STD**2)
    gap = module.bound(x).mean() / x[0].numel() - plain.mean().detach()
    assert abs(float(gap)) < 0.02


def test_importance_sampling_takes_noise_and_keeps_the_mean():
    """Against the closed cross entropy with N(0, 0.3), whose score all times have."""
    sde, z = VP(), images(4000, 8)
    entropy, law = CrossEntropy(sde), Gaussian(0.0, 0.3).score(sde)
    score = SimpleNamespace(score=law)
    exact = 0.5 * (math.log(2 * math.pi * 0.3) + z.square().mean() / 0.3)
    spread = []
    for times in (UniformTimes(), Importance()):
        t, weight = times(sde, Even().uniform(z))
        eps = torch.randn_like(z)
        errors = entropy.errors(score, sde.perturb(z, t, eps), t, eps)
        found = (entropy.constant(z) + entropy.rate(t, weight) * errors) / 64
        spread.append(float(found.std()))
    assert float(found.mean()) == pytest.approx(float(exact), abs=0.05)  # of importance sampling
    assert spread[1] < 0.2 * spread[0]


def test_the_mixed_score_is_the_paper_s():
    """eps = sigma_t (1 - alpha) z_t + alpha eps_net in each channel, whatever the net predicts."""
    torch.manual_seed(0)
    net = MixedNetwork(nn.Conv2d(2, 2, 3, padding=1).double(), 2)
    net.net.forward = lambda x, t, conv=net.net: nn.functional.conv2d(x, conv.weight, padding=1)
    with torch.no_grad():
        net.logit.copy_(torch.tensor([-1.0, 2.0]))
    x, t = torch.randn(3, 2, 4, 4, dtype=torch.float64), f64(0.4)
    for sde in (VP(), GeometricVP()):
        sigma, alpha = sde.sigma(t), torch.tensor([-1.0, 2.0]).sigmoid().double()[:, None, None]
        eps = sigma * (1 - alpha) * x + alpha * net.net(x, None)
        assert torch.allclose(-sigma * MixedScore(net, sde)(x, t), eps, rtol=1e-6)
        own = ScoreModel(net, sde, VPrediction())(x, t)
        mixed = MixedScore(net, sde, VPrediction())(x, t)
        assert torch.allclose(mixed, (1 - alpha) * -x + alpha * own, rtol=1e-6)


def test_one_pass_gives_each_its_own_weighting():
    """Gradients equal those of two losses: the prior's weighting for its network, the
    likelihood's for what is encoded."""
    x = images(8)

    def grads(weighting, loss):
        module = problem(VP(), mixing=0.5, weighting=weighting, times=UniformTimes())
        torch.manual_seed(3)
        part = module.parts(module.network, module.score, x)
        loss(part).backward()
        net = module.network
        return net.vae.gain.grad, net.prior.net.bias.grad

    from egsde.training.objectives import likelihood, sigma_squared

    def prior(part):
        return part["prior"].mean()

    true = grads(likelihood, prior)
    for weighting in (sigma_squared, reweighted):
        mixed = grads(weighting, prior)
        assert torch.allclose(mixed[0], true[0], rtol=1e-9)
        assert not torch.allclose(mixed[1], true[1], rtol=1e-3)


def test_what_has_no_bound_is_refused():
    for sde in (DDPM(), EDM()):
        with pytest.raises(ValueError, match="sde=geometric"):
            CrossEntropy(sde)
    with pytest.raises(ValueError, match="std=0"):
        problem(VP(), times=None).__class__(
            LSGM(LinearVAE(1, 1, 1), Linear(VP(), 1.0)), VP(), None, Constant(), std=0.0
        )
    for wrong in ({"sigma2_min": 0.0}, {"sigma2_max": 1.0}, {"sigma2_min": 0.9, "sigma2_max": 0.5}):
        with pytest.raises(ValueError, match="sigma2_min"):
            GeometricVP(**wrong)


def test_geometric_variance_and_its_weight():
    sde, t = GeometricVP(), torch.linspace(0, 1, 5, dtype=torch.float64)
    ratio = 0.999 / 3e-5
    assert torch.allclose(sde.sigma(t).square(), 3e-5 * ratio**t, rtol=1e-12)
    weight = (sde.diffusion(t) / sde.sigma(t)).square() * (1 - sde.sigma(t).square())
    assert torch.allclose(weight, torch.full_like(t, math.log(ratio)), rtol=1e-12)


@pytest.mark.parametrize("weighting", ["likelihood", "unweighted", "reweighted"])
def test_every_weighting_composes(weighting, tmp_path):
    cfg = composed("train", tmp_path, "model=lsgm", f"weighting={weighting}", *SMALL)
    t, module = f64(0.5), Parts(cfg)("module")
    rate = module.entropy.rate(t, torch.ones(()), module.weighting) * 2
    sde, length = module.score.sde, 1 - 1e-5
    g2, variance = float(sde.diffusion(t) ** 2), float(sde.sigma(t) ** 2)
    wanted = {"likelihood": g2 / variance, "unweighted": 1.0, "reweighted": g2}[weighting]
    assert float(rate) == pytest.approx(length * wanted)


SMALL = ["network.vae.ch=32", "network.vae.ch_mult=[1,1]", "network.vae.z_channels=2",
         "network.prior.num_channels=32", "network.prior.channel_mult=[1]",
         "network.prior.num_head_channels=32"]  # fmt: skip
DROP = ("network", "callbacks", "translate", "sampler")


def test_lsgm_is_trained_kept_and_sampled(tmp_path):
    out = tmp_path / "lsgm"
    trained(out, "model=lsgm", *SMALL, drop=DROP)
    file = str(out / "weights.safetensors")
    translator = egsde.load(file, "data.size=16", "sampler.grid.steps=6")
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    y = translator.translate(x)
    assert y.shape == x.shape and y.isfinite().all()
    assert command(
        "sample", "experiment=none", "score=lsgm", f"score.weights={file}", "translator=generate",
        "energy=none", "data.size=16", "sampler.grid.steps=4", "limit=2", "metrics=none",
        f"out={tmp_path / 'made'}", "report=0", "trainer.accelerator=cpu",
    ) == 0  # fmt: skip
    assert len(list((tmp_path / "made/images").iterdir())) == 2
    with pytest.raises(ValueError, match="leave codec= out"):
        trained(tmp_path / "no", "model=lsgm", "codec=dct", *SMALL, drop=DROP)
    with pytest.raises(ValueError, match="score=lsgm"):
        egsde.load(file, "score=trained", "codec=identity", "sde=geometric", "data.size=16")
