"""Square blocks of an image: (B, C, H, W) as (B, C, n, n, pixels of a block) and back."""

from __future__ import annotations

from torch import Tensor


def split(x: Tensor, n: int) -> Tensor:
    """(B, C, n, n, H W / n^2); ValueError unless n divides both sides into blocks of two pixels or
    more, of which there is a variance."""
    height, width = x.shape[-2:]
    if n < 1 or height % n or width % n or height * width < 2 * n * n:
        raise ValueError(
            f"{n} blocks a side do not divide {height} x {width} pixels into blocks of more than "
            "one; use a smaller factor of both sides (the paper: 16 of 256)"
        )
    return x.unflatten(-2, (n, -1)).unflatten(-1, (n, -1)).transpose(-3, -2).flatten(-2)


def join(parts: Tensor, x: Tensor) -> Tensor:
    """(B, C, n, n, pixels) -> like x, (B, C, H, W): `split` undone."""
    n = parts.shape[-2]
    sides = x.shape[-2] // n, x.shape[-1] // n
    return parts.unflatten(-1, sides).transpose(-3, -2).reshape(x.shape)
