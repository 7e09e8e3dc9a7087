"""A torchmetrics.Metric as a distance of pairs: its value on each pair alone, (y, x) -> (B,)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

Distance = Callable[[Tensor, Tensor], Tensor]  # (y, x) -> (B,)


@dataclass(frozen=True)
class OneByOne:
    """ValueError where the metric's value on one pair is not one number."""

    metric: Metric

    def __call__(self, y: Tensor, x: Tensor) -> Tensor:
        metric = self.metric.to(y.device)
        values = [self._value(metric, pair) for pair in zip(y[:, None], x[:, None], strict=True)]
        return torch.stack(values)

    def _value(self, metric: Metric, pair: tuple[Tensor, Tensor]) -> Tensor:
        metric.reset()
        value = metric(*pair)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(
                f"{type(metric).__name__} gives {value!r:.80} for one pair of images, where one "
                "number is needed; choose its options so that it averages over an image"
            )
        return value.detach().double().reshape(())


def one_by_one(distance: Distance | Metric) -> Distance:
    """A function as it is, a metric with its values pair by pair."""
    return OneByOne(distance) if isinstance(distance, Metric) else distance
