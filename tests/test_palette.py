"""Palette: known pixels shown to the network, learned around, and kept; the command lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from egsde.data.degradations import Inpaint, Rectangle
from egsde.methods import palette
from egsde.noise import Noise
from egsde.programs.sample import sample
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.sde import DDPM, SDE, VE, VP
from egsde.solvers import Ancestral, DPMSolverPP
from egsde.source import Source
from egsde.training.modules import Degrade
from egsde.training.objectives import Masked, Simple
from linear import PIXELS, SIDE, close, covariance, moments
from runs import composed, trained
from small_scores import Net, batch

KNOWN = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]], dtype=torch.float64)
GIVEN = KNOWN.flatten() > 0
C = covariance()
GAIN = C[~GIVEN][:, GIVEN] @ torch.linalg.inv(C[GIVEN][:, GIVEN])  # E[hidden | known] = GAIN known
LEFT = C[~GIVEN][:, ~GIVEN] - GAIN @ C[GIVEN][:, ~GIVEN]


class Exact(nn.Module):
    """eps of the hidden pixels given those that the image itself shows; nonsense elsewhere."""

    def __init__(self, sde: SDE) -> None:
        super().__init__()
        self.sde = sde

    def forward(self, joined, label):
        y = joined[:, 1].flatten(1)
        t = label[0] / 999
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        spread = alpha**2 * LEFT + sigma**2 * torch.eye(len(LEFT), dtype=torch.float64)
        off = y[:, ~GIVEN] - alpha * y[:, GIVEN] @ GAIN.T
        eps = torch.full_like(y, 1e6)
        eps[:, ~GIVEN] = sigma * torch.linalg.solve(spread, off.T).T
        return eps.view(-1, 1, SIDE, SIDE)


def condition(seed: int) -> torch.Tensor:
    """A Gaussian image, (1, 4, 4), whose hidden pixels are noise."""
    generator = torch.Generator().manual_seed(seed)
    z, noise = torch.randn(2, PIXELS, generator=generator, dtype=torch.float64)
    image = (torch.linalg.cholesky(C) @ z).view(1, SIDE, SIDE)
    return torch.where(KNOWN > 0, image, noise.view(1, SIDE, SIDE))


def test_hidden_pixels_follow_their_law_given_the_known_ones_which_stay_exact():
    sde = VP()
    score = ConditionalScore(Exact(sde), sde, masked=True)
    restore = palette(score, Sampler(DPMSolverPP(2), LogSNR(60), denoise=False), clip=False)
    for seed in range(2):
        x = condition(seed)
        mean, spread = moments(restore, x, 2 * PIXELS + 1, mask=KNOWN[None])
        assert torch.equal(mean[GIVEN], x.flatten()[GIVEN])
        assert float(spread[GIVEN].abs().max()) == 0
        expected = GAIN @ x.flatten()[GIVEN], LEFT
        close((mean[~GIVEN], spread[~GIVEN][:, ~GIVEN]), expected, 0.01)


class Seen(nn.Module):
    """Keeps what it is given."""

    def forward(self, joined, label):
        self.joined = joined
        return torch.zeros_like(joined[:, 3:])


@pytest.mark.parametrize("sde", [VP(), VE()], ids=["vp", "ve"])
def test_the_network_sees_the_condition_first_and_known_pixels_clean_in_both(sde):
    net = Seen()
    score = ConditionalScore(net, sde, masked=True)
    torch.manual_seed(0)
    x0, y = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    mask = KNOWN.expand(2, 1, 4, 4)
    t = torch.tensor(0.6, dtype=torch.float64)
    found = score(y, t, Source(x0, sde, Noise(0, ["a", "b"]), cond={"mask": mask}))
    scale = score.prediction.scale(sde.alpha(t), sde.sigma(t))
    expected = torch.where(mask > 0, x0, scale * y)
    assert torch.equal(net.joined, torch.cat([x0, expected], dim=1))
    certain = (sde.alpha(t) * x0 - y) / sde.sigma(t) ** 2
    assert torch.equal(found, torch.where(mask > 0, certain, 0.0))


def test_hidden_pixels_of_a_source_are_noise_to_the_network():
    """Clean images with a mask restore as degraded ones do; those without a known pixel (grey,
    JPEG) are seen as they are."""
    sde, net, noise = VP(), Seen(), Noise(0, ["a", "b"])
    sampler = Sampler(DPMSolverPP(2), LogSNR(4), denoise=False)
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64) * 2 - 1
    mask = torch.stack([KNOWN[None], torch.zeros(1, 4, 4)])
    shown = (mask > 0) | torch.tensor([False, True]).view(2, 1, 1, 1)
    palette(ConditionalScore(net, sde, masked=True), sampler)(x0, noise, mask=mask)
    expected = torch.where(shown, x0, noise.stream("hidden")(x0))
    assert torch.equal(net.joined[:, :3], expected)
    restore = palette(ConditionalScore(Net(6, 3), sde, masked=True), sampler, samples=2)
    other = torch.where(shown, x0, 1 - x0)
    assert torch.equal(restore(x0, noise, mask=mask), restore(other, noise, mask=mask))


def test_without_a_mask_it_is_refused():
    sde = VP()
    score = ConditionalScore(Seen(), sde, masked=True)
    with pytest.raises(ValueError, match="needs a mask"):
        palette(score, Sampler(DPMSolverPP(2), LogSNR(4)))(torch.zeros(1, 3, 4, 4),
                                                                Noise(0, ["a"]))  # fmt: skip


@pytest.mark.parametrize("sampler", [Sampler(Ancestral(), LogSNR(12), denoise=False),
                                     Sampler(DPMSolverPP(2), LogSNR(6), denoise=True)])  # fmt: skip
def test_known_pixels_are_the_sources_bit_for_bit(sampler):
    sde = DDPM()
    score = ConditionalScore(Net(6, 3), sde, masked=True)
    generator = torch.Generator().manual_seed(0)
    x0 = torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    mask = torch.stack([Rectangle()(8, 8, generator) for _ in range(2)])
    shown = mask.expand_as(x0) > 0
    for samples in (1, 3):
        restore = palette(score, sampler, samples=samples)
        y = restore(x0, Noise(0, ["a", "b"]), mask=mask)
        assert torch.equal(y[shown], x0[shown])
        assert float((y - x0)[~shown].abs().min()) > 0
        assert restore.steps == samples * (len(sampler.times(sde, 1.0)) - 1)


def given(known=None, count=6):
    sde = VP()
    score = ConditionalScore(Net(4, 2), sde)
    x0, t, eps = batch(count, sde)
    x0, eps = x0.expand(-1, -1, 4, 4), torch.randn(count, 2, 4, 4, dtype=torch.float64)
    return score.given(0.3 * x0, known), x0, t, eps


def test_the_masked_loss_is_the_plain_one_where_nothing_is_known():
    nothing = torch.zeros(6, 1, 4, 4)
    torch.manual_seed(3)
    plain = Simple()(*given())
    for known in (None, nothing):
        torch.manual_seed(3)
        assert torch.allclose(Masked()(*given(known)), plain, rtol=1e-12)


@pytest.mark.parametrize("norm", [1, 2])
def test_the_masked_loss_is_the_mean_over_hidden_elements(norm):
    known = KNOWN.expand(6, 1, 4, 4).clone()
    known[0] = 1
    score, x0, t, eps = given(known)
    hidden = (1 - known[0 + 1]).flatten() > 0
    error = (score.output(score.sde.perturb(x0, t, eps), t) - eps).abs().pow(norm)
    found = Masked(norm)(score, x0, t, eps)
    assert float(found[0]) == 0  # all is known
    assert torch.allclose(found[1:], error[1:].flatten(2)[:, :, hidden].mean((1, 2)), rtol=1e-12)
    moved = eps + 5 * known  # the noise of known pixels is nothing to it
    assert torch.allclose(Masked(norm)(score, x0, t, moved), found, rtol=1e-9)


def test_norms_other_than_1_and_2_are_refused():
    with pytest.raises(ValueError, match="norm 1 or 2"):
        Masked(3)


def test_the_task_draws_from_the_steps_seed():
    task = Degrade(Inpaint())
    images = torch.rand(4, 3, 16, 16)

    def pair(seed):
        torch.manual_seed(seed)
        return task({"image": images})

    first, again, other = pair(1), pair(1), pair(2)
    assert torch.equal(first.condition, again.condition) and torch.equal(first.known, again.known)
    assert not torch.equal(first.condition, other.condition)
    assert torch.equal(first.target, images) and first.known.shape == (4, 1, 16, 16)
    with pytest.raises(ValueError, match="data.view=target"):
        task({"x": images, "y": images})


QUICK = (
    "translate=null",
    "limit=10",
    "module.schedule._target_=egsde.training.modules.Constant",
)


@pytest.mark.slow
def test_a_resumed_restoration_run_is_the_straight_one(tmp_path):
    for part, steps in (("a", 4), ("b", 2), ("b", 4)):
        trained(tmp_path / part, "model=palette", *QUICK, f"trainer.max_steps={steps}",
                "trainer.val_check_interval=2")  # fmt: skip
    states = [torch.load(tmp_path / part / "checkpoints" / "last.ckpt")["state_dict"]
              for part in "ab"]  # fmt: skip
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_training_previews_and_sampling_from_the_command_line(tmp_path):
    trained(tmp_path / "run", "model=palette", "trainer.max_steps=2",
            "trainer.val_check_interval=2")  # fmt: skip
    assert list((tmp_path / "run" / "previews").glob("*.png"))
    cfg = composed("sample", tmp_path / "out", "experiment=none", "translator=palette",
                   "degradation=inpaint", f"score.weights={tmp_path / 'run/weights.safetensors'}",
                   "data.size=16", "limit=4", "sampler.grid.steps=4", "metrics=pairwise",
                   "trainer.accelerator=cpu", "logger=none")  # fmt: skip
    sample(cfg)
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["n"] == 4 and found["nfe"] == {"score": 5}
    assert {"psnr_truth", "ssim_truth", "l2_truth"} <= found["metrics"].keys()
    assert (tmp_path / "out" / "grid.png").exists()
    from hydra.utils import instantiate

    batch = next(iter(instantiate(cfg.data).translation_loader("test")))
    for name, truth, known in zip(batch["id"], batch["truth"], batch["mask"], strict=True):
        written = np.array(Image.open(tmp_path / "out" / "images" / name)).transpose(2, 0, 1)
        clean = ((truth + 1) * 127.5).round().byte().numpy()
        shown = known.expand_as(truth).numpy() > 0
        assert np.array_equal(written[shown], clean[shown])
