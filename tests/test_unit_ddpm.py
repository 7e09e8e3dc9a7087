"""UNIT-DDPM: its loss, its release, and a run from training to translations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from egsde.methods import unit_ddpm
from egsde.methods.diffusion import networks_of
from egsde.methods.unit_ddpm import Released
from egsde.networks import Pairing
from egsde.noise import Noise
from egsde.programs.sample import sample
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.scores.container import read_weights
from egsde.scores.files import load_cycle
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM, Ancestral, DPMSolverPP, HeunSDE
from egsde.training.modules import Constant, UnitDDPMModule
from runs import composed, trained

SDE = VP()
IDS = ["a", "b"]


@dataclass
class GaussianPair:
    """(x, y) ~ N(0, [[1, rho], [rho, 1]] / 4) in every pixel; the exact score of one given both
    noised. `times` notes when it was asked."""

    rho: float = 0.8
    variance: float = 0.25
    times: list = field(default_factory=list)
    sde: VP = SDE

    def given(self, condition):
        def score(image, t):
            self.times.append(float(t))
            own = SDE.alpha(t).square() * self.variance + SDE.sigma(t).square()
            shared = SDE.alpha(t).square() * self.variance * self.rho
            return -(own * image - shared * condition) / (own**2 - shared**2)

        return SimpleNamespace(score=score)


def source():
    generator = torch.Generator().manual_seed(0)
    return 0.5 * torch.randn(2, 1, 96, 96, generator=generator, dtype=torch.float64)


def test_released_from_the_start_pairs_have_their_joint_law():
    law, other = GaussianPair(), GaussianPair()
    translate = unit_ddpm(
        law, Sampler(HeunSDE(), LogSNR(60), denoise=False), other, release=1, clip=False
    )
    both = translate.inner(torch.zeros(2, 2, 96, 96, dtype=torch.float64), Noise(0, IDS))
    x, y = both.chunk(2, dim=1)
    covariance = torch.cov(torch.stack([x.flatten(), y.flatten()]))  # of 18432 pixels
    truth = 0.25 * torch.tensor([[1, 0.8], [0.8, 1]], dtype=torch.float64)
    assert torch.allclose(covariance, truth, atol=0.03 * 0.25)


@pytest.mark.parametrize(
    ("solver", "correlation"),
    [(DDIM(), 0.39), (Ancestral(), 0.56), (DPMSolverPP(2), 0.39)],
    ids=["ddim", "ancestral", "2m"],
)
def test_the_source_that_is_kept_ends_as_itself(solver, correlation):
    law, other = GaussianPair(), GaussianPair()
    sampler = Sampler(solver, LogSNR(30), denoise=True)
    translate = unit_ddpm(law, sampler, other, release=0, clip=False)
    x0 = source()
    both = translate.inner(torch.cat([x0, torch.zeros_like(x0)], 1), Noise(0, IDS))
    assert torch.allclose(both[:, :1], x0, atol=1e-10)
    assert torch.equal(both[:, 1:], translate(x0, Noise(0, IDS)))
    assert not other.times
    found = torch.corrcoef(torch.stack([both[:, 0].flatten(), both[:, 1].flatten()]))[0, 1]
    assert float(found) == pytest.approx(correlation, abs=0.03)  # of 0.8: see the module


def test_the_kept_source_is_on_a_path_of_the_forward_process():
    sampler = Sampler(Ancestral(), Uniform(200), denoise=False)
    translate = unit_ddpm(GaussianPair(), sampler, GaussianPair(),
                          release=0, clip=False)  # fmt: skip
    x0 = source()
    states = translate.inner.trajectory(torch.cat([x0, torch.zeros_like(x0)], 1), Noise(0, IDS))
    for _, t, state in list(states)[20::40]:
        eps = (state[:, :1] - SDE.alpha(t) * x0) / SDE.sigma(t)
        assert abs(float(eps.mean())) < 0.03
        assert float(eps.var()) == pytest.approx(1, abs=0.05)


def test_the_partner_is_asked_from_the_release_on():
    law, other = GaussianPair(), GaussianPair()
    unit_ddpm(law, Sampler(DDIM(), Uniform(20), denoise=False), other, release=0.3)(
        source(), Noise(0, IDS)
    )
    assert len(law.times) == 20
    assert other.times == [t for t in law.times if t <= 0.3]
    assert len(other.times) in (5, 6)
    with pytest.raises(ValueError, match="share of the process"):
        Released(law, other, 1.5)


class Net(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.mix = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x, t):
        return torch.tanh(self.mix(x)) + t[:, None, None, None] / 1000


def module():
    scores = [ConditionalScore(Net(seed), SDE) for seed in (1, 2)]
    pairing = [Pairing(width=8, depth=1) for _ in range(2)]
    for net in pairing:
        nn.init.normal_(net.layers[-1].weight, std=0.1)
    made = UnitDDPMModule(*scores, *pairing, optimizer=torch.optim.Adam, schedule=Constant())
    made.log = lambda *args, **kwargs: None
    return made


def test_the_loss_is_that_of_the_paper():
    made = module()
    x, y = torch.rand(2, 4, 3, 8, 8)
    torch.manual_seed(5)
    got = made.training_step({"x": x, "y": y}, 0)

    torch.manual_seed(5)
    t = SDE.training_time(torch.rand(4, 1, 1, 1, dtype=torch.float64))
    g, (s_x, s_y) = made.network, made.scores.values()
    total = 0
    for a, b in ((x, g["to_y"](x)), (g["to_x"](y), y)):
        eps_a, eps_b = torch.randn_like(x), torch.randn_like(x)
        a_t, b_t = SDE.perturb(a, t, eps_a), SDE.perturb(b, t, eps_b)
        label = (t * 999).flatten().float()
        total = total + (s_x.net(torch.cat([b_t, a_t], 1), label) - eps_a).square().mean()
        total = total + (s_y.net(torch.cat([a_t, b_t], 1), label) - eps_b).square().mean()
    there = (g["to_x"](g["to_y"](x)) - x).abs().mean() + (g["to_y"](g["to_x"](y)) - y).abs().mean()
    assert got.item() == pytest.approx((total + 10 * there).item(), rel=1e-5)
    got.backward()
    assert all(p.grad is not None and p.grad.any() for p in made.network.parameters())


def test_a_fresh_pairing_network_is_the_identity():
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(Pairing(width=16)(x), x)
    with pytest.raises(ValueError, match="8 divides"):
        Pairing(width=12)


@pytest.mark.slow
def test_a_run_from_training_to_translations(tmp_path):
    trained(tmp_path / "train", "model=unit_ddpm", "pairing.width=8", "pairing.depth=1")
    weights = tmp_path / "train" / "weights.safetensors"
    parts = {key.split(".")[0] for key in read_weights(weights, "averaged")}
    assert parts == {"x", "y", "to_x", "to_y"}
    assert (tmp_path / "train" / "previews").is_dir()
    score, partner = (load_cycle(str(weights), DDPM(), makes=which) for which in ("y", "x"))
    translator = unit_ddpm(score, Sampler(Ancestral(), Uniform(4), denoise=False), partner)
    assert networks_of(translator) == {"score": score, "partner": partner}
    cfg = composed("sample", tmp_path / "out", "experiment=none", "translator=unit_ddpm",
                   "score=cycle", f"score.weights={weights}", f"source_score.weights={weights}",
                   "translator.release=0.5", "sampler.grid.steps=4", "metrics=pairwise", "limit=2",
                   "data.size=16", "trainer.accelerator=cpu")  # fmt: skip
    sample(cfg)
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert report["nfe"] == {"score": 4, "partner": 2}
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2
