"""Couplings: which image of the target a source image is to become. (x, y, u) -> (x, y), in pairs.

Batches (B, C, H, W); u is uniform in [0, 1), (B, 1, 1, 1). In training `together` pairs images
within the batch of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from egsde.methods.diffusion import Translator
from egsde.noise import Noise
from egsde.training.ranks import rows_of_all


class Coupled(Protocol):
    """(x, y, u) -> (x, y), each (B, C, H, W), row by row a pair."""

    def __call__(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]: ...


def together(coupling: Coupled, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """This process's pairs. A coupling with `whole_batch` sees the batches of all processes."""
    if not getattr(coupling, "whole_batch", False):
        return coupling(x, y, u)
    (x, own), (y, _), (u, _) = map(rows_of_all, (x, y, u))
    x, y = coupling(x, y, u)
    return x[own], y[own]


@dataclass(frozen=True)
class Independent:
    """As they come: unpaired batches are independent, pairs stay pairs."""

    def __call__(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        return x, y


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(B, B), summed over an image, float64."""
    return torch.cdist(x.flatten(1).double(), y.flatten(1).double()).square()


@dataclass(frozen=True)
class MinibatchOT:
    """The assignment of least summed squared distance within the batch (Tong 2024, OT-CFM)."""

    whole_batch: ClassVar[bool] = True

    def __call__(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        _, columns = linear_sum_assignment(squared_distances(x, y).cpu().numpy())
        return x, y[torch.as_tensor(columns, device=y.device)]


def sinkhorn(cost: Tensor, spread: float, rounds: int) -> Tensor:
    """The plan (B, B), of sum 1 and even margins, that minimises <plan, cost> + spread KL to even
    (Cuturi 2013), in the log domain."""
    kernel = -cost / spread
    rows, columns = torch.zeros_like(cost[:, 0]), torch.zeros_like(cost[0])
    for _ in range(rounds):
        rows = -torch.logsumexp(kernel + columns, 1)
        columns = -torch.logsumexp(kernel + rows[:, None], 0)
    return torch.softmax((kernel + rows[:, None] + columns).flatten(), 0).view_as(cost)


@dataclass(frozen=True)
class Entropic:
    """y is drawn for each x from the entropic plan within the batch, cost |x - y|^2 / 2: for
    `variance` that of a Brownian bridge, the static Schroedinger bridge of the batch.
    ValueError for a variance of 0 or less."""

    variance: float = 0.25
    rounds: int = 50
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.variance <= 0:
            raise ValueError(f"Entropic needs a variance above 0, got {self.variance}")

    def __call__(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        plan = sinkhorn(squared_distances(x, y) / 2, self.variance, self.rounds)
        places = plan.cumsum(1) / plan.sum(1, keepdim=True)
        drawn = torch.searchsorted(places, u.to(plan).flatten()[:, None].contiguous()).flatten()
        return x, y[drawn.clamp(max=len(y) - 1)]


@dataclass(frozen=True)
class Reflow:
    """y is what an earlier flow makes of x: its second training straightens it (Liu 2023).

    open: weights -> score. method: score -> translator. ValueError without weights.
    """

    weights: str | None
    open: Callable[..., torch.nn.Module]
    method: Callable[..., Translator]

    def __post_init__(self) -> None:
        if self.weights is None:
            raise ValueError(
                "reflow goes on from an earlier flow, and none is given; add "
                "coupling.weights=RUN/weights.safetensors of python train.py model=rectified_flow"
            )
        score = self.open(self.weights)
        object.__setattr__(self, "_score", score)
        object.__setattr__(self, "_translate", self.method(score=score))

    def __call__(self, x: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        self._score.to(x.device)  # type: ignore[attr-defined]
        noise = Noise(0, [str(i) for i in range(len(x))])  # a flow draws none
        return x, self._translate(x, noise).clamp(-1, 1)  # type: ignore[attr-defined]
