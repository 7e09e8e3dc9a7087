"""Numbers of single images as torchmetrics.Metric: their mean over images and over processes.

Each also gives the number of every image, `each(y, x) -> (B,)`, of which the tables are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

Distance = Callable[..., Tensor]  # (y, x) or (y) -> (B,)


class PerImage(Metric):
    """The mean of a function over all images that all processes have seen, summed without rounding.

    each: (y, x) -> (B,), or y -> (B,) for a number of one image alone.
    """

    values: list[Tensor]
    full_state_update = False

    def __init__(self, each: Distance, **options: Any) -> None:
        super().__init__(**options)
        self.each = each
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, *images: Tensor) -> None:
        self.values.append(self.each(*images).double())

    def compute(self) -> Tensor:
        found = [self.values] if isinstance(self.values, Tensor) else self.values
        every = torch.cat([v.reshape(-1) for v in found]).tolist() if found else []
        return torch.tensor(math.fsum(every) / len(every) if every else math.nan)


class OneByOne:
    """A torchmetrics.Metric of pairs as a distance: its value on each pair alone.

    ValueError where that is not one number.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

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


def per_image(distance: Distance | Metric) -> PerImage:
    """A function or any torchmetrics.Metric of pairs as a PerImage."""
    if hasattr(distance, "each"):
        return distance  # type: ignore[return-value]
    return PerImage(OneByOne(distance) if isinstance(distance, Metric) else distance)
