"""Running means of what a row of the log stands for: all images since the row before."""

from __future__ import annotations

import torch
from torch import Tensor

from egsde.training.ranks import all_gather


class TimeBins:
    """Sums of a per-image value over equal bins of t / T in [0, 1]; `pop` returns the means."""

    def __init__(self, count: int = 10) -> None:
        self.count = count
        self.total = torch.zeros(count, dtype=torch.float64)
        self.seen = torch.zeros(count, dtype=torch.float64)

    def add(self, fraction: Tensor, value: Tensor, weight: Tensor | None = None) -> None:
        """fraction: t / T, (B,) or broadcast shape; value: (B,); weight: of each, by default 1."""
        # Where the values are: copying them to the CPU would wait for the device at every step.
        values = value.detach().flatten().double()
        self.total, self.seen = self.total.to(values.device), self.seen.to(values.device)
        places = (fraction.detach().flatten().to(values.device) * self.count).long()
        index = places.clamp(0, self.count - 1)
        weights = torch.ones_like(values) if weight is None else weight.flatten().to(values)
        self.total.index_add_(0, index, weights * values)
        self.seen.index_add_(0, index, weights)

    def state(self) -> dict[str, Tensor]:
        """Copies of the sums, for a checkpoint."""
        return {"total": self.total.cpu().clone(), "seen": self.seen.cpu().clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """`state` backwards."""
        self.total, self.seen = state["total"].clone(), state["seen"].clone()

    def pop(self, name: str) -> dict[str, float]:
        """{"name": mean, "name/t0.0-0.2": mean of a bin that saw anything, ...}; forgets them."""
        self.total, self.seen = self.total.cpu(), self.seen.cpu()
        means = {name: float(self.total.sum() / self.seen.sum())} if self.seen.any() else {}
        for i in range(self.count):
            if self.seen[i]:
                label = f"{name}/t{i / self.count:.1f}-{(i + 1) / self.count:.1f}"
                means[label] = float(self.total[i] / self.seen[i])
        self.total.zero_()
        self.seen.zero_()
        return means


class Means:
    """Means of named values over images; `pop` returns them and forgets them."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, mean: Tensor, images: int) -> None:
        """mean: of so many images."""
        self._add(name, float(mean.detach()) * images, images)

    def _add(self, name: str, value: float, images: int) -> None:
        total, seen = self.sums.get(name, (0.0, 0))
        self.sums[name] = total + value, seen + images

    def pop(self) -> dict[str, float]:
        """Of all ranks together, each of which asks."""
        ranks, self.sums = all_gather(self.sums), {}
        for name, (total, seen) in (item for rank in ranks for item in rank.items()):
            self._add(name, total, seen)
        means = {name: total / seen for name, (total, seen) in self.sums.items()}
        self.sums = {}
        return means
