"""Scores made from scores (y, t, source) -> like y."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.scores import Score
from egsde.sde import SDE


@dataclass(frozen=True)
class Clipped:
    """The score whose denoised image stays in the range of images: (alpha clip(x0-hat) - y) /
    sigma^2 (Ho 2020's sampler, "clip_denoised" of guided-diffusion).

    ValueError unless low < high.
    """

    score: Score
    sde: SDE
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"Clipped needs low < high, got {self.low} and {self.high}")

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        alpha, variance = self.sde.alpha(t), self.sde.sigma(t).square()
        x0 = (y + variance * self.score(y, t, source)) / alpha
        return (alpha * x0.clamp(self.low, self.high) - y) / variance
