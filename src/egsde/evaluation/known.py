"""Whether a network knows an image: its denoising error beside those of images like its own.

    error(x) = (prod_k mean (eps_hat(alpha_k x + sigma_k eps_k, t_k) - eps_k)^2)^(1/K)

at K levels sigma / alpha, with noise keyed by the image's name. An image is outside where its error
lies outside of the middle 1 - share of a reference's, on either side: a blank picture is too easy.
Of images like those of the reference, `share` are outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from egsde.noise import Noise

LEVELS = (0.25, 0.5, 1.0)  # sigma / alpha
LARGEST = 256  # px; of larger pictures the middle is asked: 512 would take nine times as long
AT_ONCE = 16 * 256**2  # pixels


def same(x: Tensor) -> Tensor:
    """Pixels."""
    return x


@dataclass(frozen=True)
class Knowing:
    """score: (y, t, source) -> like y; sides are brought to `multiple` by repeating the edge;
    encode: images in the score's space."""

    score: Any
    multiple: int = 1
    encode: Callable[[Tensor], Tensor] = same
    seed: int = 0

    @torch.no_grad()
    def errors(self, x: Tensor, names: list[str]) -> Tensor:
        """Of images (B, C, H, W) in [-1, 1]: (B,) float64."""
        height, width = x.shape[-2:]
        top, left = (max(n - LARGEST, 0) // 2 for n in (height, width))
        x = x[..., top : top + LARGEST, left : left + LARGEST]
        below, right = (-n % self.multiple for n in x.shape[-2:])
        x = self.encode(F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x)
        noise, sde = Noise(self.seed, names).child("known"), self.score.sde
        total = torch.zeros(len(x), dtype=torch.float64)
        for level in LEVELS:
            t = sde.time(-torch.tensor(level, dtype=torch.float64).log())
            eps = noise.stream(str(level))(x)
            found = -sde.sigma(t) * self.score(sde.perturb(x, t, eps), t, None)
            total += (found - eps).double().square().flatten(1).mean(1).log().cpu()
        return (total / len(LEVELS)).exp()

    def each(self, images: Iterable[tuple[str, Tensor]], batch: int = 16) -> dict[str, float]:
        """By name; neighbours of one shape go together, large ones a few at a time."""
        found: dict[str, float] = {}
        names: list[str] = []
        held: list[Tensor] = []

        def finish() -> None:
            if held:
                errors = self.errors(torch.stack(held), names).tolist()
                found.update(zip(names, errors, strict=True))
                names.clear()
                held.clear()

        for name, x in images:
            pixels = min(x.shape[-2], LARGEST) * min(x.shape[-1], LARGEST)
            full = len(held) >= min(batch, max(1, AT_ONCE // pixels))
            if full or (held and held[0].shape != x.shape):
                finish()
            names.append(name)
            held.append(x)
        finish()
        return found


@dataclass(frozen=True)
class Range:
    """The middle 1 - share of a reference's errors, of `count` images."""

    low: float
    high: float
    count: int

    @classmethod
    def of(cls, errors: Iterable[float], share: float) -> Range:
        """ValueError of fewer than two."""
        values = list(errors)
        if len(values) < 2:
            raise ValueError(f"a range is that of two images or more, got {len(values)}")
        low, high = np.quantile(values, [share / 2, 1 - share / 2])
        return cls(float(low), float(high), len(values))

    def outside(self, error: float) -> bool:
        """Whether an image of this error is."""
        return not self.low <= error <= self.high
