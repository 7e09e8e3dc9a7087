"""Distribution matching with the guided score: its fixed point on linear Gaussians; a short run."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from demo_networks import write_networks
from egsde.energies import guided
from egsde.programs.initial import initialise
from egsde.scores import FlowMap, ScoreModel
from egsde.scores.container import read_config
from egsde.sde import VP
from egsde.training.modules import Constant, DistributionMatchingModule
from problems import Gaussian, SquaredDistance, f64
from runs import command

S1, S2, WEIGHT = 1.0, 0.5, 1.5  # deviations of source and target, lambda of the energy
SDE, LEVEL = VP(), 0.01  # nearly clean: sigma^2 is 0.001
ALPHA, SIGMA = float(SDE.alpha(f64(LEVEL))), float(SDE.sigma(f64(LEVEL)))


class Gain(nn.Module):
    """The network of a flow map from LEVEL to 0 that is a x, whatever y is."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(f64(1.0))

    def forward(self, image: Tensor, t: Tensor, to: Tensor) -> Tensor:
        return (image[:, 1:] - ALPHA * self.a * image[:, :1]) / SIGMA


class GaussianEps(nn.Module):
    """eps of N(0, v) at LEVEL."""

    def __init__(self) -> None:
        super().__init__()
        self.log_v = nn.Parameter(f64(0.0))

    def forward(self, y: Tensor, label: Tensor) -> Tensor:
        return SIGMA * y / (ALPHA**2 * self.log_v.exp() + SIGMA**2)


class AtLevel:
    def __call__(self, sde, u: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(u, LEVEL), torch.ones_like(u)


@pytest.mark.parametrize("weight", [pytest.param(0.0, marks=pytest.mark.slow), WEIGHT])
def test_the_gain_of_linear_gaussians_is_exact(weight):
    """G = a x minimises KL(N(0, a^2 s1^2) || N(0, s2^2)) + weight / 2 (a - 1)^2 s1^2."""
    share = S1**2 / S2**2 + weight * S1**2
    root = math.sqrt(weight**2 * S1**4 + 4 * share)
    exact = (weight * S1**2 + root) / (2 * share)
    score = guided(Gaussian(0.0, S2**2).score(SDE), SquaredDistance(weight / 2))
    gain = Gain()
    flow = FlowMap(gain, SDE, times=[LEVEL, 0.0])
    fake = ScoreModel(GaussianEps(), SDE)
    module = DistributionMatchingModule(
        flow, fake, torch.optim.Adam, Constant(), guided=score, times=AtLevel(), updates=2,
        evaluations=1,
    )  # fmt: skip
    optimiser = torch.optim.Adam(
        [{"params": gain.parameters(), "lr": 3e-3}, {"params": fake.parameters(), "lr": 3e-2}]
    )
    torch.manual_seed(0)
    ids, found = [str(i) for i in range(8)], []
    for step in range(900):
        module.draw = step
        x = S1 * torch.randn(len(ids), 1, 16, 16, dtype=torch.float64)
        loss, student = module.losses(x, ids)
        optimiser.zero_grad()
        (loss.mean() if student is None else loss.mean() + student.mean()).backward()
        optimiser.step()
        found.append(gain.a.item())
    assert sum(found[-300:]) / 300 == pytest.approx(exact, rel=0.01)
    assert fake.net.log_v.exp().item() == pytest.approx(exact**2 * S1**2, rel=0.1)


@pytest.mark.slow
def test_a_short_run_leaves_a_student(tmp_path):
    options = write_networks(tmp_path)
    common = ["data=fluent", "data.size=16", "trainer.accelerator=cpu"]
    teacher = [f"out={tmp_path / 'teacher'}", "translator=egsde", "sampler=ddim", "limit=1"]
    assert command("sample", *common, *teacher, *options) == 0
    small = ["network.num_channels=32", "network.channel_mult=[1]", "network.patch=1",
             "network.attention_resolutions=[]", "data.batch_size=2", "data.limit=2",
             "trainer.max_steps=3", "trainer.val_check_interval=3", "module.updates=2"]  # fmt: skip
    assert command("train", "model=matched_student", f"teacher={tmp_path / 'teacher'}", *common,
                   *small, f"out={tmp_path / 'run'}") == 0  # fmt: skip
    file = tmp_path / "run" / "weights.safetensors"
    assert read_config(file)["kind"] == "student" and read_config(file)["times"][0] == 0.5
    assert command("sample", *common, "translator=student", f"score.weights={file}", "limit=1",
                   "metrics=pairwise", f"out={tmp_path / 'made'}") == 0  # fmt: skip
    flow = FlowMap(Gain(), SDE, skip=0.8)
    network = nn.ModuleDict({"student": flow.net})
    other = SimpleNamespace(config={"kind": "student"}, flow=flow, network=network)
    with pytest.raises(ValueError, match=r"trained with module.flow.skip=0.0, got 0.8"):
        initialise(other, {"student": str(file)})


def test_there_is_a_score_to_follow():
    with pytest.raises(ValueError, match="give teacher= or guided="):
        DistributionMatchingModule(
            FlowMap(Gain(), SDE), ScoreModel(GaussianEps(), SDE), torch.optim.Adam, Constant()
        )
