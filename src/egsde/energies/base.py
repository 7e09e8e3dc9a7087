"""Energies (y, t, source) -> (B,): low is good; their gradients guide the score.

`3 * a + b` is a WeightedSum, whose gradient is the sum of its terms' gradients, so closed forms
survive composition. A batch never couples: energy b depends on image b only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egsde.linear.quadratic import NO_QUADRATIC, QuadraticPart
from egsde.source import Source


class Energy:
    """Subclasses define __call__; `grad` is by autograd unless there is a closed form."""

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        """The energy of each image, (B,)."""
        raise NotImplementedError

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        """The gradient of each image's energy at y, (B, C, H, W)."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            return torch.autograd.grad(self(y, t, source).sum(), y)[0]

    def quadratic(self, source: Source) -> QuadraticPart:
        """The part of this energy that is a quadratic form of y, for solvers that use it."""
        return NO_QUADRATIC

    def weighted(self) -> dict[str, tuple[Energy, float]]:
        """Terms by name with their weights: what a sum is made of."""
        return {type(self).__name__: (self, 1.0)}

    def __add__(self, other: Energy) -> WeightedSum:
        named = dict(self.weighted())
        for name, part in other.weighted().items():
            free = (f"{name}_{k}" for k in range(2, 2 + len(named)))
            named[name if name not in named else next(n for n in free if n not in named)] = part
        return _sum(named)

    def __mul__(self, weight: float) -> WeightedSum:
        return _sum({name: (term, weight * w) for name, (term, w) in self.weighted().items()})

    __rmul__ = __mul__


def none(**settings: object) -> None:
    """No energy, so EGSDE is SDEdit; what an experiment sets for its own energy is ignored."""
    return None


def _sum(named: Mapping[str, tuple[Energy, float]]) -> WeightedSum:
    return WeightedSum(
        {name: term for name, (term, _) in named.items()},
        {name: weight for name, (_, weight) in named.items()},
    )


@dataclass(frozen=True, eq=False)
class OfFunction(Energy):
    """Any function (y, t, source) -> (B,) as an energy, its gradient by autograd."""

    function: Callable[[Tensor, Tensor, Source], Tensor]

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        return self.function(y, t, source)


@dataclass(frozen=True, eq=False)
class WeightedSum(Energy):
    """E = sum of weights[name] terms[name]; terms of weight zero are never evaluated.

    A term without a weight counts once; one may be a function. ValueError for a weight without a
    term.
    """

    terms: Mapping[str, Energy]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if unknown := set(self.weights) - set(self.terms):
            raise ValueError(
                f"terms are {sorted(self.terms)} but weights are for {sorted(self.weights)}; "
                f"add the terms {sorted(unknown)} or drop their weights (0 switches a term off)"
            )
        weights = dict(self.weights) | {n: 1.0 for n in self.terms if n not in self.weights}
        terms = {n: e if hasattr(e, "grad") else OfFunction(e) for n, e in self.terms.items()}
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "terms", terms)

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        total = y.new_zeros(len(y))
        for name, weight in self.weights.items():
            if weight != 0:
                total = total + weight * self.terms[name](y, t, source)
        return total

    def grad(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        total = torch.zeros_like(y)
        for name, weight in self.weights.items():
            if weight != 0:
                total = total + weight * self.terms[name].grad(y, t, source)
        return total

    def quadratic(self, source: Source) -> QuadraticPart:
        """The stiffest term's; a solver integrates one exactly and finds the rest in the score."""
        parts = [(self.terms[n].quadratic(source), w) for n, w in self.weights.items() if w > 0]
        quadratics = [replace(part, rate=w * part.rate) for part, w in parts]
        return max(
            quadratics, key=lambda quadratic: float(quadratic.rate.max()), default=NO_QUADRATIC
        )

    def weighted(self) -> dict[str, tuple[Energy, float]]:
        return {name: (self.terms[name], weight) for name, weight in self.weights.items()}
