"""An energy of pixels on latents: E(decode(y)), x_t decoded alike (latent diffusion)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from egsde.energies.base import Energy
from egsde.source import Source


class DecodedSource(Source):
    """The source as pixels: x_0 and x_t are decoded latents."""

    def __init__(self, source: Source, codec: Any) -> None:
        super().__init__(
            codec.decode(source.x0), source.sde, source.noise, source.mode, source.cond
        )
        self.latents, self.codec = source, codec

    def at(self, t: Tensor, draw: int = 0) -> Tensor:
        return self._keep(
            ("x", float(t), draw), lambda: self.codec.decode(self.latents.at(t, draw))
        )

    def mean(self, t: Tensor) -> Tensor:
        return self.codec.decode(self.latents.mean(t))


@dataclass(frozen=True, eq=False)
class Decoded(Energy):
    """energy(decode(y), t, source of decoded images); its gradient flows through the decoder."""

    energy: Energy
    codec: Any

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.energy(self.codec.decode(y), t, DecodedSource(source, self.codec))
