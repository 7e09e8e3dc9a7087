"""Turned, scaled, shifted and recoloured pictures, made on the device where a batch lies.

Domains of few pictures give networks that know them by heart. What the augmentations leave alone
is what the two domains differ in: shading, outlines, texture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from egsde.noise import keyed_generator

Draw = Callable[[int], Tensor]
YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True)
class Augment:
    """(B, C, S, S) in [-1, 1] -> (B, C, size, size), size a divisor of S.

    moved: share of the images that are moved, by a factor in `scale`, up to `turn` degrees and
    `shift` of the side. hue: share of them whose hue is turned, by any angle, and whose chroma is
    multiplied by a factor in `chroma` (three channels).
    fill: what comes in from outside, 1 for white; null mirrors the picture at its border.
    """

    size: int
    moved: float = 0.6
    scale: tuple[float, float] = (0.8, 1.05)
    turn: float = 12.0
    shift: float = 0.055
    hue: float = 0.4
    chroma: tuple[float, float] = (1.0, 1.0)
    fill: float | None = None

    def __call__(self, images: Tensor, uniform: Draw, copies: int = 1) -> Tensor:
        """uniform: so many numbers in [0, 1), a row for each image. copies: the batch holds so many
        parts, one after another, that are treated alike. ValueError where `size` does not divide
        the side."""
        count, channels, side, _ = images.shape
        if side % self.size:
            raise ValueError(
                f"augmentation shrinks by whole factors, got {side} px for {self.size}; choose "
                "data.train_size as a multiple of data.size"
            )

        def draw() -> Tensor:
            return uniform(count // copies).to(images.device).repeat(copies)

        moves = (draw() < self.moved).float()
        low, high = self.scale
        scale = 1 + moves * (low + (high - low) * draw() - 1)
        angle = moves * math.radians(self.turn) * (2 * draw() - 1)
        shift = torch.stack([2 * self.shift * moves * (2 * draw() - 1) for _ in range(2)], 1)
        cos, sin = angle.cos() / scale, angle.sin() / scale
        turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        grid = F.affine_grid(torch.cat([turn, shift[..., None]], 2), list(images.shape), False)
        fill = 0.0 if self.fill is None else self.fill
        padding = "reflection" if self.fill is None else "zeros"
        moved = F.grid_sample(images - fill, grid, "bilinear", padding, False) + fill
        moved = torch.where(moves[:, None, None, None] > 0, moved, images)
        if channels == 3 and self.hue:
            turns, turned = 2 * math.pi * draw(), (draw() < self.hue).float()
            low, high = self.chroma
            factor = 1 + turned * (low + (high - low) * draw() - 1) if low < high else None
            moved = turn_hue(moved, turns * turned, factor)
        return F.avg_pool2d(moved, side // self.size)


def augmented(
    batch: dict[str, Any], augment: Augment, key: tuple[object, ...], paired: bool,
    rank: int = 0, world: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """A batch with its images augmented; of pairs both alike. key: names of the random numbers.

    Drawn for an image's place in the batch of all processes, of which this one has the rank-th
    part: two processes with batches of 4 draw what one with 8 draws.
    """
    names = [name for name in ("image", "x", "y") if name in batch]
    images = torch.cat([batch[name] for name in names])
    if "label" in batch:
        counts = [n for n in batch["label"].bincount().tolist() if n]
    else:
        counts = [len(batch[name]) for name in (names[:1] if paired else names)]
    streams = range(len(counts))
    generators = [keyed_generator(*key, k, device=str(images.device)) for k in streams]

    def uniform(count: int) -> Tensor:
        rows = [
            torch.rand(world * n, generator=g, device=images.device)[rank * n : (rank + 1) * n]
            for g, n in zip(generators, counts, strict=True)
        ]
        return torch.cat(rows)

    images = augment(images, uniform, copies=len(names) if paired else 1)
    parts = images.split([len(batch[name]) for name in names])
    return batch | dict(zip(names, parts, strict=True))


def turn_hue(images: Tensor, angle: Tensor, factor: Tensor | None = None) -> Tensor:
    """Turn the chroma plane of YIQ by an angle (B,), and stretch it by a factor (B,): luma stays,
    values are clamped to [-1, 1]."""
    yiq = YIQ.to(images)
    turn = torch.eye(3, device=images.device).repeat(len(angle), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 2, 1] = angle.sin()
    turn[:, 1, 2] = -angle.sin()
    if factor is not None:
        turn[:, 1:] *= factor[:, None, None]
    matrix = torch.linalg.inv(yiq) @ turn @ yiq  # (B, 3, 3)
    return torch.einsum("bij,bjhw->bihw", matrix, images).clamp(-1, 1)
