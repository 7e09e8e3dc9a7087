"""Cascades: each stage at its size, the joint law of exact stages, every stage's networks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from egsde.linear.filters import cubic, resize_matrix
from egsde.methods import sr3
from egsde.methods.diffusion import networks_of
from egsde.methods.sr3 import Cascade, Stage, resized
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.sde import VP
from egsde.solvers import DPMSolverPP
from linear import close, covariance, moments
from runs import composed, trained


class Exact(nn.Module):
    """eps of p(y | x) = N(gain x + shift, spread)."""

    def __init__(self, side: int, gain: float, shift: float) -> None:
        super().__init__()
        self.gain, self.shift, self.spread = gain, shift, covariance(side, 0.7)

    def forward(self, joined, label):
        x, y = joined.flatten(2).unbind(1)
        sde, t = VP(), label[0] / 999
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        whole = alpha**2 * self.spread + sigma**2 * torch.eye(y.shape[1], dtype=torch.float64)
        off = y - alpha * (self.gain * x + self.shift)
        return (sigma * torch.linalg.solve(whole, off.T).T).view_as(joined[:, :1])


def stage(side: int, gain: float, shift: float) -> Stage:
    score = ConditionalScore(Exact(side, gain, shift), VP())
    sampler = Sampler(DPMSolverPP(2), LogSNR(60), denoise=True)
    return Stage(sr3(score, sampler, clip=False), side, clip=False)


def bicubic(low: int, high: int) -> torch.Tensor:
    """The enlargement of flattened images, (high^2, low^2)."""
    one = resize_matrix(low, high, cubic)
    return torch.kron(one, one)


def test_two_exact_stages_have_the_joint_law():
    cascade = Cascade({"small": stage(3, 0.8, 0.1), "large": stage(6, 0.9, -0.2)})
    torch.manual_seed(0)
    x = torch.randn(1, 2, 2, dtype=torch.float64) / 2
    first_mean = 0.8 * bicubic(2, 3) @ x.flatten() + 0.1
    up = 0.9 * bicubic(3, 6)
    expected = up @ first_mean - 0.2, up @ covariance(3, 0.7) @ up.T + covariance(6, 0.7)
    close(moments(cascade, x, 9 + 36 + 1), expected, 0.02)


def test_the_noise_of_stages_differs_and_belongs_to_the_image():
    cascade = Cascade({"a": stage(2, 0.0, 0.0), "b": stage(2, 1.0, 0.0)})
    x = torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    noise = Noise(0, ["p", "q"])
    y = cascade(x, noise)
    assert torch.allclose(cascade(x[1:], Noise(0, ["q"])), y[1:], atol=1e-12)
    same = cascade.stages["a"](x, noise.child("a"))
    assert float((y - 2 * same).abs().max()) > 1e-3


@dataclass(frozen=True)
class Plus:
    """A translator that notes what it was given."""

    value: float
    seen: list
    steps: int = 3

    def __call__(self, x0, noise, **cond):
        self.seen.append((tuple(x0.shape), float(x0.max()), sorted(cond)))
        return x0 + self.value


def test_stages_run_in_their_order_at_their_sizes():
    seen: list = []
    cascade = Cascade({"z": Stage(Plus(0.5, seen), 4), "a": Stage(Plus(3.0, seen), 8)})
    y = cascade(torch.full((2, 3, 16, 16), 0.75), Noise(0, ["p", "q"]), low=torch.zeros(2, 1))
    assert [shape for shape, _, _ in seen] == [(2, 3, 4, 4), (2, 3, 8, 8)]
    assert [round(largest, 6) for _, largest, _ in seen] == [0.75, 1.0]  # clipped
    assert [names for *_, names in seen] == [["low"], ["low"]]
    assert y.shape == (2, 3, 8, 8) and torch.allclose(y, torch.tensor(4.0), atol=1e-5)
    assert cascade.steps == 6


def test_resizing_is_the_identity_at_the_same_size_and_keeps_constants():
    x = torch.rand(1, 3, 8, 8)
    assert resized(x, 8) is x
    assert torch.allclose(resized(torch.full((1, 1, 8, 8), 0.3), 20), torch.tensor(0.3))


def test_refusals():
    with pytest.raises(ValueError, match="at least one stage"):
        Cascade({})
    with pytest.raises(ValueError, match="size of at least 1"):
        Stage(Plus(0.0, []), 0)


def test_every_stages_network_is_found():
    cascade = Cascade({"small": stage(2, 1.0, 0.0), "large": stage(4, 1.0, 0.0)})
    found = networks_of(cascade)
    assert found == {
        "score": cascade.stages["small"].translator.score,
        "large_score": cascade.stages["large"].translator.score,
    }


def test_the_option_builds_both_stages(tmp_path):
    quick = ("translate=null", "trainer.max_steps=1", "trainer.val_check_interval=1")
    for size in (8, 16):
        sizes = (f"data.size={size}", "data.degradation.factor=2")
        trained(tmp_path / str(size), "model=sr3", *quick, *sizes, drop=("data.size", "callbacks"))
    weights = [f"translator.stages.{name}.translator.score.weights={tmp_path}/{size}/weights"
               ".safetensors" for name, size in (("first", 8), ("second", 16))]  # fmt: skip
    cfg = composed("sample", tmp_path / "out", "experiment=none", "translator=cascade",
                   "data.size=16", "translator.stages.first.size=8", "sampler.grid.steps=3",
                   *weights)  # fmt: skip
    cascade = build_translator(cfg)
    assert list(cascade.stages) == ["first", "second"]
    assert [s.size for s in cascade.stages.values()] == [8, 16]
    assert len(networks_of(cascade)) == 2
    assert cascade(torch.zeros(1, 3, 16, 16), Noise(0, ["a"])).shape == (1, 3, 16, 16)
