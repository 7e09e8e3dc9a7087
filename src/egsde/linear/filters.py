"""Low-pass filters LP(x) = R_h x R_w^T: shrink by a factor and enlarge again, as two matrices.

R = U D, with D the anti-aliased shrink (kernel stretched by the factor) and U the enlargement;
borders repeat mirrored, weights sum to one. Linear kernel: EGSDE's official filter
(functions/resizer.py); cubic: ILVR's. Neither is a projection: LP(LP(x)) != LP(x); box is one.
grad_d ||LP(d)||^2 = 2 G_h d G_w with G = R^T R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Kernel = Callable[[Tensor], Tensor]


def box(x: Tensor) -> Tensor:
    """1 on [-1/2, 1/2): block means, enlarged by repetition."""
    return ((x >= -0.5) & (x < 0.5)).to(x.dtype)


def linear(x: Tensor) -> Tensor:
    """The triangle 1 - |x| on [-1, 1]."""
    return (1 - x.abs()).clamp(min=0)


def cubic(x: Tensor) -> Tensor:
    """The cubic convolution kernel on [-2, 2], a = -1/2 (Keys 1981)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def resize_matrix(size: int, new_size: int, kernel: Kernel = linear) -> Tensor:
    """The matrix (new_size, size), float64, that resizes one axis; shrinking is anti-aliased."""
    scale = new_size / size
    stretch = max(1.0, 1 / scale)
    reach = int(2 * stretch) + 2  # the widest kernel here ends at 2
    centre = (torch.arange(new_size, dtype=torch.float64) + 0.5) / scale - 0.5
    position = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weight = kernel((centre[:, None] - position) / stretch)
    weight = weight / weight.sum(1, keepdim=True)
    folded = position % (2 * size)
    folded = torch.where(folded < size, folded, 2 * size - 1 - folded)  # the edge pixel repeats
    return torch.zeros(new_size, size, dtype=torch.float64).scatter_add_(1, folded, weight)


@lru_cache(maxsize=64)
def _low_pass_matrix(size: int, low_pass: LowPass) -> Tensor:
    if size % low_pass.factor:
        raise ValueError(
            f"a low pass of factor {low_pass.factor} was given an image side of {size} pixels, "
            "which it does not divide; choose a factor that divides the image size"
        )
    low = size // low_pass.factor
    up, down = (resize_matrix(*sizes, low_pass.kernel) for sizes in ((low, size), (size, low)))
    return up @ down


@lru_cache(maxsize=64)
def _matrices(
    size: int, low_pass: LowPass, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    matrix = _low_pass_matrix(size, low_pass)
    return matrix.to(device, dtype), (matrix.T @ matrix).to(device, dtype)


@lru_cache(maxsize=16)
def _eigen(size: int, low_pass: LowPass) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(
        _matrices(size, low_pass, torch.float64, torch.device("cpu"))[1]
    )
    return values.clamp(min=0), vectors


@dataclass(frozen=True)
class LowPass:
    """LP(x) = U D x: shrunk by `factor` and enlarged again, like x, (B, C, H, W).

    ValueError for a factor below 1, or one that does not divide the sides.
    """

    factor: int
    kernel: Kernel = linear

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"a low pass needs a factor of at least 1, got {self.factor}")

    def __call__(self, x: Tensor) -> Tensor:
        height, width = (_matrices(n, self, x.dtype, x.device)[0] for n in x.shape[-2:])
        return height @ x @ width.T

    def modes(self, size: int) -> tuple[Tensor, Tensor]:
        """Eigenvalues (size,) and eigenvectors (size, size) of one axis's G, float64 on the CPU."""
        return _eigen(size, self)

    def gram(self, x: Tensor) -> Tensor:
        """G_h x G_w: LP^T LP applied to x, half the gradient of ||LP(x)||^2."""
        height, width = (_matrices(n, self, x.dtype, x.device)[1] for n in x.shape[-2:])
        return height @ x @ width
