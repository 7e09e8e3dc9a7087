"""Palette's condition (Saharia 2022): the known pixels, and noise in place of the hidden ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.noise import Noise
from egsde.operators import known_pixels
from egsde.translators import Translator


@dataclass(frozen=True)
class Hidden:
    """`inner` of x0 with noise where cond mask is 0, as its network was trained.

    An image with no known pixel stays as it is: grey, or saved as JPEG, it is the condition.
    ValueError without a mask.
    """

    inner: Translator

    @property
    def steps(self) -> int:
        return self.inner.steps

    def __call__(self, x0: Tensor, noise: Noise, **cond: Tensor) -> Tensor:
        known = known_pixels(cond.get("mask"), x0) > 0
        shown = known | ~known.any((1, 2, 3), keepdim=True)
        return self.inner(torch.where(shown, x0, noise.stream("hidden")(x0)), noise, **cond)
