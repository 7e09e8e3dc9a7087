"""A zero-centred gradient penalty on real images (Mescheder 2018, R1): weight E ||grad D(y)||^2.

UVCGANv2 (Torbunov 2023, arXiv 2303.16280) cures CycleGAN's training with one, the denoising
diffusion GAN has R1 on every 15th step ("lazy", Karras 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ZeroCentred:
    """weight: of the squared gradient of the sum of an image's logits. every: only on each so
    manyeth step. made: of made images, too (R2), as a relativistic game needs. ValueError for
    every < 1 or a weight below 0."""

    weight: float
    every: int = 15
    made: bool = False

    def __post_init__(self) -> None:
        if self.every < 1 or self.weight < 0:
            raise ValueError(
                f"a penalty has weight >= 0 and every >= 1, got {self.weight} and {self.every}"
            )

    def due(self, step: int) -> bool:
        """Whether it is taken at this step."""
        return self.weight > 0 and step % self.every == 0

    def __call__(
        self, judge: Callable[[Tensor], Tensor], real: Tensor, made: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch; its gradient reaches the judge's parameters."""
        both = [real, made] if self.made and made is not None else [real]
        return torch.stack([self._of(judge, images) for images in both]).sum()

    def _of(self, judge: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        seen = images.detach().requires_grad_()
        logits = judge(seen)
        (slope,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
        return self.weight * slope.square().flatten(1).sum(1).mean()
