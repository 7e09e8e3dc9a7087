"""Learning-rate factors: linear warm-up, then constant, linear or half-cosine decay."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """factor = min((step + 1) / warmup, 1)  (Song 2021, losses.py optimization_manager)."""

    warmup: int = 0

    def __call__(self, step: int, total: float) -> float:
        return min((step + 1) / self.warmup, 1.0) if self.warmup else 1.0


@dataclass(frozen=True)
class Cosine:
    """Warm-up, then (1 + cos(pi progress)) / 2 from 1 down to `floor` at the last step."""

    warmup: int = 0
    floor: float = 0.0

    def __call__(self, step: int, total: float) -> float:
        progress = min(max(step - self.warmup, 0) / max(total - self.warmup, 1), 1.0)
        decay = self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
        return Constant(self.warmup)(step, total) * decay


@dataclass(frozen=True)
class Linear:
    """Warm-up, then a straight line to zero (run_train_dse.py of the official EGSDE)."""

    warmup: int = 0

    def __call__(self, step: int, total: float) -> float:
        progress = min(max(step - self.warmup, 0) / max(total - self.warmup, 1), 1.0)
        return Constant(self.warmup)(step, total) * (1 - progress)


@dataclass(frozen=True)
class HeldLinear:
    """Constant for the first `held` of the steps, then a straight line to zero (Zhu 2017: 100 and
    100 epochs). ValueError unless 0 <= held < 1."""

    held: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.held < 1:
            raise ValueError(f"held is a share of the training in [0, 1), got {self.held}")

    def __call__(self, step: int, total: float) -> float:
        progress = min(step / max(total, 1), 1.0)
        return min(1.0, (1 - progress) / (1 - self.held))
