"""Blocks of cosines as channels: an exact, parameter-free codec (JPEG's transform)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class BlockDCT:
    """The orthonormal DCT-II of blocks of `factor` x `factor`, coefficients as channels.

    keep: only so many, lowest first (u + v rising); null keeps all, and decoding is exact. Latents
    are (B, C keep, H / factor, W / factor), a colour's coefficients together. Orthonormal, so white
    noise stays white and an energy that is a distance stays one. ValueError for a keep that there
    is not.
    """

    factor: int = 2
    keep: int | None = None

    def __post_init__(self) -> None:
        if self.factor < 1 or not 1 <= (self.keep or 1) <= self.factor**2:
            raise ValueError(
                f"factor={self.factor}, keep={self.keep}: blocks of {self.factor} x {self.factor} "
                f"have 1 .. {self.factor**2} coefficients"
            )

    @property
    def mark(self) -> str:
        return f"dct-{self.factor}-{self.keep or self.factor**2}"

    @cached_property
    def basis(self) -> Tensor:
        """(keep, factor^2): rows are the block's cosines, lowest first."""
        n = self.factor
        place = torch.arange(n, dtype=torch.float64)
        waves = torch.cos(math.pi / n * (place + 0.5) * place[:, None]) * math.sqrt(2 / n)
        waves[0] /= math.sqrt(2)
        order = sorted(((u, v) for u in range(n) for v in range(n)), key=lambda uv: (sum(uv), uv))
        rows = [torch.outer(waves[u], waves[v]).flatten() for u, v in order]
        return torch.stack(rows[: self.keep or n * n])

    def encode(self, x: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(x, self.factor).unflatten(1, (x.shape[1], -1))
        return torch.einsum("kn,bcnhw->bckhw", self.basis.to(x), blocks).flatten(1, 2)

    def decode(self, z: Tensor) -> Tensor:
        kept = z.unflatten(1, (-1, len(self.basis)))
        blocks = torch.einsum("kn,bckhw->bcnhw", self.basis.to(z), kept)
        return F.pixel_shuffle(blocks.flatten(1, 2), self.factor)
