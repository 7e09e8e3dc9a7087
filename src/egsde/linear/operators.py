"""Linear measurements y = A x of an image, for data consistency x - A^T A x + A^T y.

The operators here have orthonormal rows, A A^T = I, so that step imposes A x = y exactly.
Images are (B, C, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from egsde.linear.filters import cubic, resize_matrix

Cond = Mapping[str, Tensor]


class Operator:
    """Subclasses define `forward` A and `adjoint` A^T; A A^T = I, else the step is a relaxation
    that moves towards the measurement (no further than it, if ||A|| <= 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        raise NotImplementedError

    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y, like x."""
        raise NotImplementedError

    def estimate(self, y: Tensor) -> Tensor:
        """A first guess of the image behind y: A^T y unless overridden."""
        return self.adjoint(y)

    def given(self, cond: Cond) -> Operator:
        """The operator of these images, where it differs from image to image (masks)."""
        return self

    def measured(self, x0: Tensor, cond: Cond) -> Tensor:
        """The measurement that came with the images, or A x_0."""
        return self.forward(x0)


@dataclass(frozen=True)
class Box(Operator):
    """Super-resolution: `factor` times the mean of each factor x factor block.

    cond["low"], (B, C, H / factor, W / factor): the low-resolution images, if not made from x_0.
    ValueError for other shapes.
    """

    reads: ClassVar = ("low",)

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"Box needs a factor of at least 1, got {self.factor}")

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2] % self.factor or x.shape[-1] % self.factor:
            raise ValueError(
                f"{self} was given images of {x.shape[-2]}x{x.shape[-1]} pixels; "
                "choose a factor that divides their sides"
            )
        return F.avg_pool2d(x, self.factor) * self.factor

    def adjoint(self, y: Tensor) -> Tensor:
        rows = y.repeat_interleave(self.factor, -2)
        return rows.repeat_interleave(self.factor, -1) / self.factor

    def estimate(self, y: Tensor) -> Tensor:
        """Cubic enlargement, made consistent."""
        height, width = (resize_matrix(n, n * self.factor, cubic).to(y) for n in y.shape[-2:])
        x = height @ (y / self.factor) @ width.T
        return x + self.adjoint(y - self.forward(x))

    def measured(self, x0: Tensor, cond: Cond) -> Tensor:
        if "low" not in cond:
            return self.forward(x0)
        expected = (*x0.shape[:2], x0.shape[-2] // self.factor, x0.shape[-1] // self.factor)
        if tuple(cond["low"].shape) != expected:
            raise ValueError(
                f"low-resolution images of shape {tuple(cond['low'].shape)} do not fit {self} of "
                f"images of shape {tuple(x0.shape)}; give {expected} or another factor"
            )
        return cond["low"].to(x0) * self.factor


@dataclass(frozen=True)
class Grey(Operator):
    """Colourisation: sum of the C channels / sqrt(C), the grey axis of an orthonormal basis of
    colours (Song 2021, App. I.3). ValueError for images of other channels."""

    channels: int = 3

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.channels:
            raise ValueError(f"grey of {self.channels} channels, but images have {x.shape[1]}")
        return x.sum(1, keepdim=True) / self.channels**0.5

    def adjoint(self, y: Tensor) -> Tensor:
        return y.expand(-1, self.channels, -1, -1) / self.channels**0.5


def known_pixels(mask: Tensor | None, x: Tensor) -> Tensor:
    """The mask, (B or 1, 1 or C, H, W), 1 = known, with B rows in x's dtype; ValueError if it is
    absent or misshapen."""
    if mask is None:
        raise ValueError(
            "this translator needs a mask (1 = known), got none; give the dataset one with "
            "data.mask=PATH or degradation=inpaint, or call the translator with mask=..."
        )
    batch, channels, height, width = x.shape
    fitting = [(b, c, height, width) for b in (1, batch) for c in (1, channels)]
    if tuple(mask.shape) not in fitting:
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} does not fit images of shape "
            f"{tuple(x.shape)}; give ({batch}, 1 or {channels}, {height}, {width})"
        )
    return mask.to(x).expand(batch, -1, -1, -1)


@dataclass(frozen=True)
class Pixels(Operator):
    """Inpainting: the pixels where cond["mask"] is 1, as `known_pixels` has it."""

    reads: ClassVar = ("mask",)

    mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return known_pixels(self.mask, x) * x

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)

    def given(self, cond: Cond) -> Pixels:
        return Pixels(cond.get("mask"))


@dataclass(frozen=True)
class KSpace(Operator):
    """Magnetic resonance (CCDF, Chung 2022, section 4.3): the lines |k| of the Fourier plane that
    `acceleration` divides, and those of the middle `centre` share, of each channel.

    Lines come in pairs +-k, so that A A^T = I for real images. ValueError for an acceleration below
    1 or a centre outside [0, 1].
    """

    acceleration: int = 4
    centre: float = 0.08

    def __post_init__(self) -> None:
        if self.acceleration < 1 or not 0 <= self.centre <= 1:
            raise ValueError(
                f"KSpace needs acceleration >= 1 and a centre in [0, 1], got {self.acceleration} "
                f"and {self.centre}"
            )

    def lines(self, x: Tensor) -> Tensor:
        """1 where a line is measured, (W,)."""
        k = (torch.fft.fftfreq(x.shape[-1], device=x.device) * x.shape[-1]).round().abs()
        return ((k % self.acceleration == 0) | (k <= self.centre * x.shape[-1] / 2)).to(x.real)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(x, norm="ortho") * self.lines(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.fft.ifft2(y * self.lines(y), norm="ortho").real
