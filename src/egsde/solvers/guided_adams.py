"""Stochastic exponential Adams steps that solve a quadratic energy of the state exactly.

With u = x / alpha, l = log(alpha / sigma) and the energy's gradient kappa (x - c), every mode of
the reverse SDE (eta = 1) is, D being the denoised image under all the rest,

    du = 2 (D - u) dl - 2 kappa sigma^2 (u - c / alpha) dl + sqrt(2) e^-l dw

A step integrates this with the polynomial through the last D; once D at its end is known the step
is weighed again with it (PEC). kappa = 0: SA-Solver with tau = 1 (Xue 2023, arXiv 2309.05019).
EGSDE's explicit steps need small ones where kappa is large; these are stable for any kappa.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.exponential.forms import Point


@dataclass(frozen=True)
class GuidedAdams(Solver):
    """order: values of D that the predictor reads; corrector: those of the corrector, the new one
    included, 0 for none. One evaluation a step. ValueError for an order below 1 or a corrector
    below 0."""

    order: int = 3
    corrector: int = 3
    weak_order: ClassVar[float | None] = 2.0
    strong_order: ClassVar[float | None] = 1.0

    def __post_init__(self) -> None:
        if self.order < 1 or self.corrector < 0:
            raise ValueError(
                f"order must be at least 1 and corrector at least 0, got {self.order} and "
                f"{self.corrector}; 3 and 3 are usual"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        sde, quadratic = reverse.sde, reverse.quadratic.at(t)
        guided = reverse.x0(x, t)  # one evaluation: the denoised image under all guidance
        if sde.is_clean(s):
            return (sde.alpha(s) * guided).to(x.dtype), None
        # D, without the quadratic energy's part, in the modes where that energy is diagonal
        clean, eps = quadratic.centre(t)
        pull = quadratic.grad(x, sde.alpha(t) * clean + sde.sigma(t) * eps)
        free = guided + sde.sigma(t).square() / sde.alpha(t) * pull
        points = [Point(sde.log_snr(t), quadratic.modes(free))]
        if carry is not None:
            past, step, predicted = carry
            if self.corrector:  # the last step weighed again, now that D at its end is known
                better = step.sum([*points, *past[: self.corrector - 1]])
                x = (x + sde.alpha(t) * quadratic.image(better - predicted)).to(x.dtype)
            points += past
        points = points[: max(self.order, self.corrector)]
        # this step: the polynomial through the last D, what is left of u, the pull and its noise
        step = Step.between(sde, quadratic.rate, t, s)
        predicted = step.sum(points[: self.order])
        parts = (step.whole / sde.alpha(t), step.pull, step.noisy_pull, step.std)
        values = [quadratic.modes(value) for value in (x, clean, eps, randn(x))]
        u = predicted + sum(part.to(x) * value for part, value in zip(parts, values, strict=True))
        # x_s = alpha_s u, back from modes to pixels
        return (sde.alpha(s) * quadratic.image(u)).to(x.dtype), (points, step, predicted)


class Step(NamedTuple):
    """The integrals of a step, (H, W) or () where they differ between modes."""

    whole: Tensor  # what is left of u
    pull: Tensor  # towards the clean part of c / alpha = x_0 + e^-l eps
    noisy_pull: Tensor  # towards its noise
    std: Tensor  # of the new noise
    nodes: Tensor  # l, (n, H, W)
    weight: Tensor  # 2 decay dl, (n, H, W): of D at the nodes

    @staticmethod
    def between(sde: SDE, rate: Tensor, t: Tensor, s: Tensor) -> Step:
        """Exact where alpha^2 + sigma^2 = 1; elsewhere that sum takes its mean over the step."""
        first, last = sde.log_snr(t), sde.log_snr(s)
        sums = [sde.alpha(at).square() + sde.sigma(at).square() for at in (t, s)]
        kappa = rate * (sums[0] * sums[1]).sqrt()

        def lost(at: Tensor) -> Tensor:  # -log of what is left at the end
            grown = torch.log1p((-2 * at).exp()) - torch.log1p((-2 * last).exp())
            return 2 * (last - at) + kappa * grown

        def decay(at: Tensor) -> Tensor:
            return (-lost(at)).exp()

        def pulled(at: Tensor) -> Tensor:  # 2 kappa sigma^2, the energy's part of -d lost / dl
            return kappa * 2 / (1 + (2 * at).exp())

        seen = _seen(lost, pulled, first, last)
        place, dl = (part.view(-1, *[1] * rate.ndim) for part in _gauss())
        l, dl = last - (1 - place) * seen, dl * seen
        left = decay(l)
        drag = left * pulled(l) * dl
        variance = (left.square() * 2 * (-2 * l).exp() * dl).sum(0)
        noisy = (drag * (-l).exp()).sum(0)
        return Step(decay(first), drag.sum(0), noisy, variance.sqrt(), l, 2 * left * dl)

    def sum(self, points: Sequence[Point]) -> Tensor:
        """int 2 decay D dl for the polynomial through the points, in modes."""
        total: Tensor | float = 0.0
        for i, (place, value) in enumerate(points):
            basis = torch.ones_like(self.nodes)
            for j, (other, _) in enumerate(points):
                if j != i:
                    basis = basis * (self.nodes - other) / (place - other)
            weight = (self.weight * basis).sum(0)
            total = total + weight.to(value) * value
        return total  # type: ignore[return-value]


def _seen(
    lost: Callable[[Tensor], Tensor],
    pulled: Callable[[Tensor], Tensor],
    first: Tensor,
    last: Tensor,
    most: float = 20.0,
) -> Tensor:
    """How far before the end of a step its integrals see anything: a stiff mode forgets the rest,
    and nodes spread over the whole step would miss what counts. Newton's steps from above, where
    `lost`, convex, passes `most`."""
    seen = most / (2 + pulled(last))
    for _ in range(6):
        seen = seen - (lost(last - seen) - most) / (2 + pulled(last - seen))
    return seen.minimum(last - first)


@lru_cache(maxsize=1)
def _gauss(nodes: int = 12) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre on [0, 1]."""
    place, weight = np.polynomial.legendre.leggauss(nodes)
    return torch.from_numpy((place + 1) / 2), torch.from_numpy(weight / 2)
