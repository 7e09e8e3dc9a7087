"""What a conditional score learns from a batch: the condition, the target, and known pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egsde.data.degradations import Degradation, degrade_all
from egsde.training.draws import Draws, Unkeyed


@dataclass(frozen=True)
class Pair:
    """condition (B, C', H, W) and target (B, C, H, W); known (B, 1, H, W): 1 where the condition
    shows the target as it is, None if nowhere."""

    condition: Tensor
    target: Tensor
    known: Tensor | None = None


Task = Callable[[Mapping[str, Any]], Pair]


@dataclass(frozen=True)
class Paired:
    """The partners of data.view=paired: y given x; ValueError for a batch that has none."""

    def __call__(self, batch: Mapping[str, Any]) -> Pair:
        if not {"x", "y"} <= batch.keys():
            raise ValueError(
                f"paired training needs x and y, but the batch has {', '.join(sorted(batch))}; "
                "add data.view=paired"
            )
        return Pair(beside(batch["x"], batch), batch["y"])


def beside(condition: Tensor, batch: Mapping[str, Any]) -> Tensor:
    """The condition and the channels of its neighbours, where a batch has some."""
    return torch.cat([condition, batch["neighbours"]], 1) if "neighbours" in batch else condition


@dataclass(frozen=True)
class Degrade:
    """The batch's "image" from what a degradation leaves of it; ValueError for a batch without.

    Each image has a generator of its own, by the batch's "draws".
    """

    degradation: Degradation

    def __call__(self, batch: Mapping[str, Any]) -> Pair:
        if "image" not in batch:
            raise ValueError(
                f"restoration learns from images, but the batch has {', '.join(sorted(batch))}; "
                "use data.view=target"
            )
        images = batch["image"]
        draws: Draws = batch.get("draws", Unkeyed())
        degraded = degrade_all(self.degradation, images, draws.generators(len(images)))
        return Pair(degraded.condition, batch["image"], degraded.known)
