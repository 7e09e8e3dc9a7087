"""What a codec is, and any translator in its space (latent diffusion, Rombach 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from egsde.noise import Noise


class Codec(Protocol):
    """encode: (B, C, H, W) in [-1, 1] -> (B, Z, H / factor, W / factor); decode: back.

    mark: which codec it is, for the files of networks that are trained in its space.
    """

    factor: int

    def encode(self, x: Tensor) -> Tensor: ...
    def decode(self, z: Tensor) -> Tensor: ...
    @property
    def mark(self) -> str: ...


@dataclass(frozen=True)
class Identity:
    """Pixels."""

    factor: int = 1
    mark: str = "identity"

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, z: Tensor) -> Tensor:
        return z


@dataclass(frozen=True)
class Latent:
    """decode(translator(encode(x0))): any translator in a codec's space.

    Its noise, constraints and low passes act on latents, `factor` times smaller than the image: a
    low pass of 4 there holds what one of 4 factor holds in pixels. A mask (1 where pixels are kept)
    keeps a latent only if all pixels under it are kept. An energy of pixels goes through
    `egsde.energies.Decoded`. ValueError for sides that `factor` does not divide.
    """

    translator: Any
    codec: Any

    @property
    def steps(self) -> int:
        return getattr(self.translator, "steps", 0)

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        return self._decoded(self.translator(self._encoded(x0), noise, **self._shrunk(cond)))

    def trajectory(
        self, x0: Tensor, noise: Noise, **cond: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (i, t, y) of every state, decoded."""
        for i, t, z in self.translator.trajectory(self._encoded(x0), noise, **self._shrunk(cond)):
            yield i, t, self._decoded(z)

    @torch.no_grad()
    def _encoded(self, x0: Tensor) -> Tensor:
        factor = self.codec.factor
        if x0.shape[-1] % factor or x0.shape[-2] % factor:
            raise ValueError(
                f"images of {x0.shape[-2]} x {x0.shape[-1]} have no latents: the codec divides "
                f"sides by {factor}; choose a data.size that it divides"
            )
        return self.codec.encode(x0)

    @torch.no_grad()
    def _decoded(self, z: Tensor) -> Tensor:
        return self.codec.decode(z)

    def _shrunk(self, cond: dict[str, Tensor]) -> dict[str, Tensor]:
        mask, factor = cond.get("mask"), self.codec.factor
        return cond if mask is None else cond | {"mask": -F.max_pool2d(-mask, factor)}
