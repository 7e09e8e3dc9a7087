"""Problems with exact answers: Gaussian and mixture data, and exact moments of linear samplers."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field

import torch
from torch import Tensor

from egsde.energies import Energy
from egsde.scores import ScoreFunction
from egsde.sde import SDE
from shared import shared_path


def named(value: object) -> str:
    """repr without the addresses of functions: a test's name is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def f64(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@dataclass(frozen=True)
class Gaussian:
    """Data N(mean, variance) in every pixel; p_t = N(alpha mean, alpha^2 variance + sigma^2)."""

    mean: float = 0.5
    variance: float = 0.25

    def moments(self, sde: SDE, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha = sde.alpha(t)
        return alpha * self.mean, alpha.square() * self.variance + sde.sigma(t).square()

    def score(self, sde: SDE) -> ScoreFunction:
        def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
            mean, variance = self.moments(sde, t)
            return (mean - y) / variance

        return ScoreFunction(score, sde)


@dataclass(frozen=True)
class Mixture:
    """Equal parts of N(-1, variance) and N(1, variance) in every pixel."""

    variance: float = 0.05

    def score(self, sde: SDE) -> ScoreFunction:
        def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
            alpha, spread = sde.alpha(t), sde.alpha(t).square() * self.variance
            spread = spread + sde.sigma(t).square()
            return (alpha * torch.tanh(alpha * y / spread) - y) / spread

        return ScoreFunction(score, sde)

    def component_score(self, sde: SDE, sign: float) -> ScoreFunction:
        return Gaussian(sign, self.variance).score(sde)


class RecordedMixture:
    """sum_k weights_k N(means_k, std_k^2 I) of the recorded runs, float64 (B, 3, 2, 2)."""

    def __init__(self) -> None:
        recorded = json.loads(shared_path("oracles/gmm.json").read_text())["gmm"]
        self.weights, self.std, self.means = (
            torch.tensor(recorded[key], dtype=torch.float64) for key in ("weights", "std", "means")
        )  # (3,), (3,), (3, 3, 2, 2)

    def _parts(self, sde: SDE, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log weights_k N(x; ...) (B, 3), offsets of x from the means (B, 3, ...), variances."""
        alpha, sigma = sde.alpha(t).reshape(-1, 1), sde.sigma(t).reshape(-1, 1)
        variance = (alpha * self.std).square() + sigma.square()  # (1 or B, 3)
        offset = x[:, None] - alpha[..., None, None, None] * self.means
        squares = offset.square().flatten(2).sum(2) / variance
        log_norm = -0.5 * self.means[0].numel() * (2 * math.pi * variance).log()
        return self.weights.log() + log_norm - 0.5 * squares, offset, variance

    def log_prob(self, sde: SDE, x: Tensor, t: Tensor) -> Tensor:
        """log p_t(x), (B,)."""
        return self._parts(sde, x, t)[0].logsumexp(1)

    def score(self, sde: SDE) -> ScoreFunction:
        def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
            log_parts, offset, variance = self._parts(sde, y, t)
            share = (log_parts.softmax(1) / variance)[..., None, None, None]
            return -(share * offset).sum(1)

        return ScoreFunction(score, sde)


@dataclass(frozen=True)
class SquaredDistance(Energy):
    """weight ||y - x_t||^2, linear gradient, exact expectation."""

    weight: float

    def __call__(self, y, t, source):
        return self.weight * (y - source.mean(t)).square().flatten(1).sum(1)


@dataclass(frozen=True)
class Quadratic(Energy):
    """weight / 2 ||y - center||^2, whatever the time and the source."""

    weight: float = 3.0
    center: float = 1.0

    def __call__(self, y, t, source):
        return 0.5 * self.weight * (y - self.center).square().flatten(1).sum(1)


class TinyNet(torch.nn.Module):
    """A small smooth classifier with features (B, 8, h, w) and two logits, for any dtype."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = torch.nn.Conv2d(3, 8, 4, stride=4)
        self.head = torch.nn.Linear(8, 2)

    def features(self, x, t):
        return torch.tanh(self.conv(x) + t[:, None, None, None] / 1000)

    def forward(self, x, t):
        return self.head(self.features(x, t).mean((2, 3)))


class Pointwise(torch.nn.Module):
    """A toy noise predictor without parameters: the same numbers at any batch size."""

    def forward(self, x, t):
        return torch.sin(3 * x + t[:, None, None, None])


@dataclass
class Impulses:
    """Noise whose draw k is one in row k + 1 and zero elsewhere.

    Through anything linear, row 0 is the mean and the squared differences of the other rows to it
    add up to the variance: exact moments, no random numbers.
    """

    rows: int
    path: str = ""
    drawn: dict = field(default_factory=dict)

    def stream(self, key):
        def randn_like(x):
            row = self.drawn.setdefault((self.path, key, len(self.drawn)), len(self.drawn) + 1)
            z = torch.zeros_like(x)
            z[row] = 1
            return z

        return randn_like

    def child(self, key):
        return Impulses(self.rows, f"{self.path}/{key}", self.drawn)

    def images(self, value: float) -> Tensor:
        return torch.full((self.rows, 1, 1, 1), value, dtype=torch.float64)

    def moments(self, y: Tensor) -> tuple[float, float]:
        assert len(self.drawn) < self.rows, "more draws than rows"
        y = y.flatten()
        return float(y[0]), float((y[1:] - y[0]).square().sum())
