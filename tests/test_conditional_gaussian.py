"""Paired Gaussian data: the conditional law that is sampled, against conditioning in closed form.

Everything is linear there, so a zero start gives the conditional mean and starts on the axes the
square root of the covariance: exact moments, without drawing samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from egsde.methods import paired
from egsde.sampling.grids import LogSNR
from egsde.sampling.sampler import Sampler
from egsde.scores.conditional import ConditionalScore
from egsde.scores.predictions import VPrediction
from egsde.sde import DDPM, SDE, VP
from egsde.solvers import DDIM, DPMSolverPP, HeunSDE
from egsde.training.modules import ConditionalModule, Cosine

# y = MAP x + SHIFT + ROOT z with x, z ~ N(0, I) in the plane: so that p(y | x) = N(MAP x +
# SHIFT, COVARIANCE)
MAP = torch.tensor([[0.6, -0.3], [0.2, 0.5]], dtype=torch.float64)
SHIFT = torch.tensor([0.2, -0.1], dtype=torch.float64)
ROOT = torch.tensor([[0.3, 0.0], [0.15, 0.2]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T


def mean_given(x: Tensor) -> Tensor:
    return x @ MAP.T.to(x) + SHIFT.to(x)


class Exact(nn.Module):
    """eps = sigma (alpha^2 COVARIANCE + sigma^2)^-1 (y - alpha E[y | x]) of cat(x, y), 999 t."""

    def __init__(self, sde: SDE) -> None:
        super().__init__()
        self.sde = sde
        self.inputs: list[Tensor] = []

    def forward(self, joined: Tensor, label: Tensor) -> Tensor:
        self.inputs.append(joined)
        x, y = joined.flatten(1).chunk(2, dim=1)
        levels = torch.linspace(0, 1, 1001, dtype=torch.float64)
        t = label[0] / 999 if self.sde.t_min else levels[int(label[0].round()) + 1]
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        spread = alpha**2 * COVARIANCE + sigma**2 * torch.eye(2, dtype=torch.float64)
        eps = sigma * torch.linalg.solve(spread, (y - alpha * mean_given(x)).T).T
        return eps[..., None, None]


@dataclass
class Axes:
    """Noise whose k-th number is one in row k + 1, and zero in all other rows."""

    rows: int
    drawn: list[str] = field(default_factory=list)

    def child(self, key: object) -> Axes:
        return self

    def stream(self, key: str):
        def randn_like(x: Tensor) -> Tensor:
            z = torch.zeros_like(x)
            for channel in range(x.shape[1]):
                self.drawn.append(key)
                z[len(self.drawn), channel] = 1
            return z

        return randn_like


def moments(sde: SDE, score: ConditionalScore, sampler: Sampler, x: list[float], rows: int):
    """Mean and covariance of the translations of one source."""
    noise = Axes(rows)
    source = torch.tensor(x, dtype=torch.float64).view(1, 2, 1, 1).expand(rows, 2, 1, 1)
    y = paired(score, sampler, clip=False)(source, noise).flatten(1)
    assert len(noise.drawn) < rows
    root = y[1:] - y[0]
    return y[0], root.T @ root


def check(sde: SDE, score: ConditionalScore, sampler: Sampler, error: float, rows: int = 3) -> None:
    """Errors of the mean against the deviation of y, of the covariance against its diagonal."""
    scale, of_y = COVARIANCE.diagonal().sqrt(), (COVARIANCE + MAP @ MAP.T).diagonal().sqrt()
    for x in ([0.0, 0.0], [1.0, -0.5], [-1.5, 1.0]):
        mean, covariance = moments(sde, score, sampler, x, rows)
        expected = mean_given(torch.tensor(x, dtype=torch.float64))
        assert float(((mean - expected) / of_y).abs().max()) < error
        wrong = (covariance - COVARIANCE) / (scale[:, None] * scale)
        assert float(wrong.abs().max()) < error


@pytest.mark.parametrize(
    ("sde", "sampler", "rows"),
    [
        (VP(), Sampler(DPMSolverPP(2), LogSNR(50), denoise=False), 3),
        pytest.param(VP(), Sampler(DDIM(), LogSNR(500), denoise=False), 3, marks=pytest.mark.slow),
        (DDPM(), Sampler(DPMSolverPP(2), LogSNR(38), denoise=False), 3),
        (VP(), Sampler(HeunSDE(), LogSNR(300), denoise=False), 1203),
    ],
    ids=["vp-dpmpp", "vp-ddim", "ddpm-dpmpp", "vp-heun"],
)
def test_the_exact_conditional_score_gives_the_conditional_law(sde, sampler, rows):
    check(sde, ConditionalScore(Exact(sde), sde), sampler, 0.01, rows)


class Affine(nn.Module):
    """A(t) (x, y) + b(t) with A and b smooth in t: all that Gaussian data need."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Sequential(nn.Linear(6, 64), nn.SiLU(), nn.Linear(64, 10))

    def forward(self, joined: Tensor, label: Tensor) -> Tensor:
        t = (label / 999)[:, None].to(self.rates[0].weight.dtype)
        waves = [t, *(torch.cos(k * torch.pi * t) for k in range(1, 6))]
        rates = self.rates(torch.cat(waves, 1)).to(joined)
        matrix, shift = rates[:, :8].view(-1, 2, 4), rates[:, 8:]
        return (torch.einsum("bij,bj->bi", matrix, joined.flatten(1)) + shift)[..., None, None]


class Pairs(IterableDataset):
    """Endless batches of x and y."""

    def __iter__(self):
        generator = torch.Generator().manual_seed(1)
        while True:
            x, z = torch.randn(2, 1024, 2, generator=generator)
            y = mean_given(x) + z @ ROOT.T.float()
            yield {"x": x[..., None, None], "y": y[..., None, None]}


@pytest.mark.slow
def test_a_trained_score_gives_the_conditional_law(tmp_path):
    sde = VP()
    torch.manual_seed(0)
    module = ConditionalModule(
        ConditionalScore(Affine(), sde, VPrediction()),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        schedule=Cosine(warmup=20),
        ema_decay=0.98,
    )
    trainer = Trainer(
        max_steps=1200, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, DataLoader(Pairs(), batch_size=None))
    check(sde, module.averaged, Sampler(DPMSolverPP(2), LogSNR(30), denoise=False), 0.03)
