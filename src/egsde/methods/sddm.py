"""Score and energies balanced on a manifold (SDDM, Sun 2023, arXiv 2308.02154).

M_t: images whose blocks have the mean and variance of the noised source's. A direction is split
into its part along M_t (it moves neither) and the rest. The score's rest is kept; its part along
M_t gives way to the shortest convex combination with those of the energies' -grad E: a direction
that no expert opposes (multiple-gradient descent, Desideri 2012, by Frank--Wolfe).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.constraints import MatchBlocks
from egsde.energies import Energy
from egsde.linear.blocks import join, split
from egsde.methods.diffusion import Diffusion, prior
from egsde.sampling.sampler import Sampler
from egsde.scores.decorators import Clipped
from egsde.scores.process import Score, process_of
from egsde.sde import SDE
from egsde.solvers import Refined
from egsde.source import Source


def along(direction: Tensor, y: Tensor, center: Tensor, n: int) -> Tensor:
    """The part of a direction that keeps each block's mean, and its distance to `center`
    (B, C, n, n, 1), to first order."""
    parts, radius = split(direction, n), split(y, n) - center
    radius = radius - radius.mean(-1, keepdim=True)
    parts = parts - parts.mean(-1, keepdim=True)
    fraction = (parts * radius).sum(-1, keepdim=True) / radius.square().sum(-1, keepdim=True)
    return join(parts - fraction * radius, y)


def shortest(vectors: Tensor, iterations: int = 20) -> Tensor:
    """(..., k, d) -> (..., d): the convex combination of least norm, by Frank--Wolfe."""
    gram = vectors @ vectors.transpose(-1, -2)
    weights = torch.full_like(gram[..., 0], 1 / gram.shape[-1])
    for _ in range(iterations):
        pull = (gram @ weights[..., None])[..., 0]
        best = torch.nn.functional.one_hot(pull.argmin(-1), gram.shape[-1]).to(weights)
        ours, cross = (weights * pull).sum(-1), (best * pull).sum(-1)
        theirs = ((gram @ best[..., None])[..., 0] * best).sum(-1)
        gap = (ours + theirs - 2 * cross).clamp(min=1e-30)
        step = ((ours - cross) / gap).clamp(0, 1)[..., None]
        weights = weights + step * (best - weights)
    return (weights[..., None] * vectors).sum(-2)


@dataclass(frozen=True)
class MultiGradientScore:
    """The score with the energies' parts along M_t taken in, while t > until; then the score.

    Each -grad E along M_t is given gain g(t)^2 times the length of the score's, per image and
    channel: the official code's 25 beta_t of a 100-step chain is gain 0.25. Terms have no weights.
    """

    score: Score
    terms: Mapping[str, Energy]
    blocks: int = 16
    until: float = 0.5
    gain: float = 0.25

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        score = self.score(y, t, source)
        if float(t) <= self.until or not self.terms:
            return score
        sde = self.sde
        center = sde.alpha(t) * split(source.x0, self.blocks).mean(-1, keepdim=True)
        ours = along(score, y, center, self.blocks)
        length = self.gain * sde.diffusion(t).square() * ours.flatten(2).norm(dim=-1)
        experts = [ours.flatten(2)]
        for term in self.terms.values():
            pull = along(-term.grad(y, t, source), y, center, self.blocks).flatten(2)
            scaled = length[..., None] / pull.norm(dim=-1, keepdim=True).clamp(min=1e-12)
            experts.append(pull * scaled)
        balanced = shortest(torch.stack(experts, -2)).view_as(y)
        return (score - ours + balanced).to(y.dtype)


def sddm(
    score: Score,
    sampler: Sampler,
    terms: Mapping[str, Energy],
    blocks: int = 16,
    until: float = 0.5,
    gain: float = 0.25,
    refinements: int = 0,
) -> Diffusion:
    """SDDM (Sun 2023): from noise alone, block statistics of the source imposed after each step
    and score and energies balanced along them, while t > until; 100 respaced ancestral steps.
    refinements: means of the last such step that are taken before it; the official code has 4."""
    balanced = MultiGradientScore(Clipped(score), terms, blocks, until, gain)
    constraint = MatchBlocks(blocks, until)
    refined = replace(sampler, solver=Refined(sampler.solver, until, refinements))
    return Diffusion(balanced, refined, constraint=constraint, start=prior)
