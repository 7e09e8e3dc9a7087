"""What a conditional score learns from a batch: the condition, the target, and known pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


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
        return Pair(batch["x"], batch["y"])
