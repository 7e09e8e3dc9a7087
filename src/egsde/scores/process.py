"""A score knows the process whose marginals it is the score of: grad log p_t of `score.sde`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from egsde.sde import SDE


class Score(Protocol):
    """(y, t, source) -> like y: grad log p_t at y, whatever it reads of the source."""

    @property
    def sde(self) -> SDE: ...

    def __call__(self, y: Tensor, t: Tensor, source: Any) -> Tensor: ...


@dataclass(frozen=True)
class ScoreFunction:
    """Any function (y, t, source) -> like y with the process that it is a score of."""

    function: Callable[[Tensor, Tensor, Any], Tensor]
    sde: SDE

    def __call__(self, y: Tensor, t: Tensor, source: Any = None) -> Tensor:
        return self.function(y, t, source)


def process_of(score: Any) -> SDE:
    """The process `score.sde`; ValueError where a score does not say it, or is a process itself."""
    sde = getattr(score, "sde", None)
    if sde is not None:
        return sde
    if hasattr(score, "alpha") and hasattr(score, "sigma"):
        raise ValueError(
            f"a score is wanted first, got the process {score!r:.80}; the process is the score's "
            "own: write (score, sampler, ...)"
        )
    raise ValueError(
        f"the score {score!r:.80} does not know its process, for it has no `sde`; give its class "
        "one, or write egsde.scores.ScoreFunction(score, sde)"
    )


def same_levels(a: SDE, b: SDE) -> bool:
    """Whether two processes have the same noise levels, at 20 times between 0 and T."""
    if a is b:
        return True
    if a.T != b.T:
        return False
    inside = a.T * torch.linspace(0.05, 1, 20, dtype=torch.float64)
    values = [(sde.alpha(t), sde.sigma(t)) for sde, t in ((a, a.snap(inside)), (b, b.snap(inside)))]
    return all(torch.allclose(x, y) for x, y in zip(*values, strict=True))


def same_process(a: SDE, b: SDE, prediction: Any = None) -> bool:
    """Whether two processes have the same noise levels and labels (and so the same score).

    Where the label is the noise level itself, any two with alpha^2 + sigma^2 = 1 have: Palette is
    sampled on another chain than it was trained on.
    """
    if getattr(getattr(prediction, "label", None), "of_level", False):
        return all(_preserves_variance(sde) for sde in (a, b))
    if not same_levels(a, b):
        return False
    inside = a.T * torch.linspace(0.05, 1, 20, dtype=torch.float64)
    return torch.allclose(a.network_time(a.snap(inside)), b.network_time(b.snap(inside)))


def said(sde: SDE | None) -> str:
    """A process in words that tell chains of the same length apart."""
    betas = getattr(sde, "betas", None)
    if betas is None:
        return repr(sde)
    return f"{sde!r} with betas from {float(betas[0]):.3g} to {float(betas[-1]):.3g}"


def _preserves_variance(sde: SDE) -> bool:
    t = sde.snap(sde.T * torch.linspace(0.05, 1, 20, dtype=torch.float64))
    total = sde.alpha(t).square() + sde.sigma(t).square()
    return torch.allclose(total, torch.ones_like(total))


def one_process(score: Score, other: Score) -> SDE:
    """The process of two scores that are walked together; ValueError where they have two."""
    sde, second = process_of(score), process_of(other)
    if not same_levels(sde, second):
        raise ValueError(
            f"the two scores belong to different processes, {sde!r} and {second!r}; train or load "
            "both with one sde="
        )
    return sde
