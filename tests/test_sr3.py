"""SR3: the noise-level label, the law of an image given its small one, and means of samples."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from egsde.linear.filters import LowPass, cubic
from egsde.methods import sr3
from egsde.methods.average import MeanOfSamples
from egsde.noise import Noise
from egsde.programs.sample import sample
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.scores.predictions import EpsPrediction, NoiseLevel
from egsde.sde import DDPM, VE, VP, SubVP
from egsde.solvers import DDIM, DPMSolverPP
from egsde.training.objectives import Simple
from linear import PIXELS, SIDE, close, covariance, moments
from runs import composed, trained

C = covariance()
SMALL = LowPass(2, cubic)  # shrunk and enlarged
ROWS = SMALL(torch.eye(PIXELS, dtype=torch.float64).view(PIXELS, 1, SIDE, SIDE)).flatten(1).T
GAIN = C @ ROWS.T @ torch.linalg.pinv(ROWS @ C @ ROWS.T, rtol=1e-9)  # E[y | x] = GAIN x
LEFT = C - GAIN @ ROWS @ C


class Exact(nn.Module):
    """eps of p(y | x) for Gaussian images, from the label alone: alpha = label / 1000."""

    def forward(self, joined, label):
        x, y = joined.flatten(2).unbind(1)
        alpha = label[0] / 1000
        sigma = (1 - alpha.square()).sqrt()
        spread = alpha**2 * LEFT + sigma**2 * torch.eye(PIXELS, dtype=torch.float64)
        eps = sigma * torch.linalg.solve(spread, (y - alpha * x @ GAIN.T).T).T
        return eps.view(-1, 1, SIDE, SIDE)


def exact() -> ConditionalScore:
    return ConditionalScore(Exact(), VP(), EpsPrediction(NoiseLevel()))


def shrunk(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(PIXELS, generator=generator, dtype=torch.float64)
    image = (torch.linalg.cholesky(C) @ z).view(1, 1, SIDE, SIDE)
    return SMALL(image)[0]


@pytest.mark.parametrize(
    "sampler",
    [Sampler(DPMSolverPP(2), LogSNR(60), denoise=True), Sampler(DDIM(), LogSNR(400), denoise=True)],
    ids=["dpmpp", "ddim"],
)
def test_the_exact_score_gives_the_law_of_the_image_behind_the_small_one(sampler):
    for seed in range(2):
        x = shrunk(seed)
        found = moments(sr3(exact(), sampler, clip=False), x, PIXELS + 1)
        close(found, (GAIN @ x.flatten(), LEFT), 0.03)
        again = ROWS @ found[0]  # what is drawn shrinks to what was given
        assert float((again - x.flatten()).abs().max()) < 0.01
        assert float((ROWS @ found[1] @ ROWS.T).abs().max()) < 1e-3


def test_the_mean_of_samples_has_a_share_of_the_spread():
    sampler = Sampler(DPMSolverPP(2), LogSNR(30), denoise=True)
    x = shrunk(0)
    of_four = sr3(exact(), sampler, clip=False, samples=4)
    mean, spread = moments(of_four, x, 4 * PIXELS + 1)
    close((mean, 4 * spread), (GAIN @ x.flatten(), LEFT), 0.03)
    assert of_four.steps == 4 * of_four.translator.steps


def test_means_are_those_of_the_samples_and_of_at_least_one():
    sampler = Sampler(DPMSolverPP(2), LogSNR(4), denoise=True)
    one = sr3(exact(), sampler)
    x = torch.stack([shrunk(0), shrunk(1)])
    noise = Noise(0, ["a", "b"])
    draws = torch.stack([one(x, noise.child(f"sample/{k}")) for k in range(3)])
    assert torch.allclose(MeanOfSamples(one, 3)(x, noise), draws.mean(0), rtol=1e-12)
    with pytest.raises(ValueError, match="at least one sample"):
        MeanOfSamples(one, 0)


@pytest.mark.parametrize("sde", [VP(), DDPM(), SubVP(), VE()], ids=lambda s: type(s).__name__)
def test_the_label_is_the_share_of_signal_and_falls_from_1000(sde):
    t = torch.linspace(0, 1, 101, dtype=torch.float64)[1:]
    label = NoiseLevel()(sde, t)
    assert bool((label.diff() < 0).all())
    assert float(label[-1]) > 0 and float(label[0]) <= 1000
    ratio = sde.sigma(t) / sde.alpha(t)
    assert torch.allclose(label, 1000 / (1 + ratio**2).sqrt(), rtol=1e-9)
    assert torch.allclose(NoiseLevel(5000)(sde, t), 5 * label)


class Labels(nn.Module):
    """Keeps the labels."""

    def forward(self, joined, label):
        self.label = label
        return torch.zeros_like(joined[:, :1])


def test_training_draws_the_noise_level_continuously():
    sde, net = VP(), Labels()
    score = ConditionalScore(net, sde, EpsPrediction(NoiseLevel()))
    torch.manual_seed(0)
    u = torch.rand(500, 1, 1, 1, dtype=torch.float64)
    t = sde.training_time(u)
    x = torch.zeros(500, 1, 1, 1, dtype=torch.float64)
    Simple()(score.given(x), x, t, torch.randn_like(x))
    assert torch.allclose(net.label, 1000 * sde.alpha(t).flatten())
    assert len(net.label.unique()) == 500


@pytest.mark.slow
def test_training_and_sampling_from_the_command_line(tmp_path):
    trained(tmp_path / "run", "model=sr3", "trainer.max_steps=2", "trainer.val_check_interval=2")
    weights = tmp_path / "run" / "weights.safetensors"
    quick = ("experiment=none", "degradation=shrink", "data.size=16", "limit=3", "logger=none",
             "sampler.grid.steps=3", "metrics=pairwise", "trainer.accelerator=cpu")  # fmt: skip
    for samples in (2,):
        out = tmp_path / f"mean{samples}"
        sample(composed("sample", out, "translator=sr3", f"score.weights={weights}",
                        f"translator.samples={samples}", *quick))  # fmt: skip
        found = json.loads((out / "metrics.json").read_text())
        assert found["n"] == 3 and found["nfe"] == {"score": 4 * samples}
        assert "psnr_truth" in found["metrics"]
    palette = ("sde=ddpm", "+sde.betas.end=0.09")  # levels are labels: another chain will do
    sample(composed("sample", tmp_path / "palette", "translator=sr3", f"score.weights={weights}",
                    *palette, *quick))  # fmt: skip
    other = ("translator=sr3", f"score.weights={weights}", "sde=ve")
    with pytest.raises(Exception, match="was trained with VP"):
        sample(composed("sample", tmp_path / "ve", *quick, *other))
