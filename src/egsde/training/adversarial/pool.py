"""Images made before, shown to the judge again (Shrivastava 2017; CycleGAN's pool of 50).

While the pool fills, images pass through it; then each is, with probability a half, exchanged for
one of the pool.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from egsde.training.ranks import rows_of_all


class Pool(nn.Module):
    """`size` images of each judge, in the checkpoint too; 0: none. All processes keep those of
    all, so they are one pool. ValueError for size < 0."""

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"a pool holds so many images, 0 or more; got size={size}")
        self.size = size
        self.kept: dict[str, list[Tensor]] = {}

    def forward(self, name: str, made: Tensor, chance: Tensor, place: Tensor) -> Tensor:
        """What the judge `name` sees in place of `made`. chance, place: uniform in [0, 1), a value
        for each image."""
        if self.size == 0:
            return made
        kept, shown = self.kept.setdefault(name, []), []
        (every, own), (chances, _), (places, _) = map(rows_of_all, (made, chance, place))
        for image, c, p in zip(every, chances.flatten().tolist(), places.flatten().tolist(),
                               strict=True):  # fmt: skip
            if len(kept) < self.size:
                kept.append(image.clone())
            elif c < 0.5:
                index = int(p * self.size)
                image, kept[index] = kept[index].to(image), image.clone()
            shown.append(image)
        return torch.stack(shown[own])

    def get_extra_state(self) -> dict[str, Any]:
        return {name: torch.stack(images).cpu() for name, images in self.kept.items()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.kept = {name: list(images) for name, images in state.items()}
