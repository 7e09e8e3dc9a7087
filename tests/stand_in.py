"""A feature network of twelve numbers in place of Inception, by the settings of metrics=."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

SEEN: list[int] = []  # images of each evaluation


class Twelve(torch.nn.Module):
    fingerprint = "twelve"

    def describe(self) -> dict[str, object]:
        return {"extractor": "twelve", "weights_sha256": self.fingerprint}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        SEEN.append(len(x))
        return F.adaptive_avg_pool2d(x, 2).flatten(1).float()


@dataclass(frozen=True)
class Shrink:
    """uint8 to [0, 1]."""

    text: ClassVar[str] = "x / 255"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 255


def twelve(path: str | None = None, download: bool = True) -> Twelve:
    return Twelve()


def absent(path: str | None = None, download: bool = True) -> None:
    """No weights are to be had."""


def options(cache: object, network: str = "twelve") -> list[str]:
    """Settings of metrics=default or domain."""
    return [
        f"metrics.extractor._target_=stand_in.{network}",
        "metrics.protocol.resize._target_=stand_in.Shrink",
        f"metrics.cache={cache}",
    ]
