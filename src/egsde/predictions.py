"""What a network predicts: the training target, and the map from an output to the score.

x = alpha x_0 + sigma eps and score = -eps / sigma. Every class has
target(x0, eps, alpha, sigma) and score(output, x, alpha, sigma); coefficients broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Prediction(Protocol):
    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor: ...

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Eps:
    """The noise (Ho 2020)."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return -output / sigma


@dataclass(frozen=True)
class X0:
    """The clean image: score = (alpha x_0 - x) / sigma^2."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return x0

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * output - x) / sigma.square()


@dataclass(frozen=True)
class V:
    """The velocity alpha eps - sigma x_0 (Salimans 2022), for any alpha and sigma."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return alpha * eps - sigma * x0

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        eps = (sigma * x + alpha * output) / (alpha.square() + sigma.square())
        return -eps / sigma
