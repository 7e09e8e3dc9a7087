"""Blocks take the mean and variance of the noised source's (block AdaIN of SDDM, Sun 2023,
arXiv 2308.02154): mean alpha m, variance alpha^2 v + sigma^2 with m, v of the clean block."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.linear.blocks import join, split
from egsde.source import Source


@dataclass(frozen=True)
class MatchBlocks:
    """blocks x blocks of them, each channel apart, while the time after the step is > until.

    What is left of y are the 2 blocks^2 moments fewer: a sphere in each block's mean-free part.
    """

    blocks: int = 16  # of 16 x 16 pixels at 256
    until: float = 0.5

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        if float(t) <= self.until:
            return y
        alpha, sigma = source.sde.alpha(t), source.sde.sigma(t)
        ours, theirs = split(y, self.blocks), split(source.x0, self.blocks)
        offset = ours - ours.mean(-1, keepdim=True)
        wanted = (alpha.square() * theirs.var(-1, keepdim=True) + sigma.square()).sqrt()
        spread = (offset.square().sum(-1, keepdim=True) / (offset.shape[-1] - 1)).sqrt()
        unit = offset / spread.clamp(min=1e-5)
        return join(alpha * theirs.mean(-1, keepdim=True) + wanted * unit, y).to(y.dtype)
