"""Adaptive steps for the reverse SDE (Jolicoeur-Martineau 2021, arXiv 2105.14080, algorithm 1).

A step h of Euler--Maruyama, x', and one of the same noise with drift and g at its end; their mean
x'' (a stochastic Heun step) goes on, and |x' - x''| says whether h was small enough:
E = rms((x' - x'') / max(atol, rtol max(|x'|, |x' before|))) <= 1. Then h <- h theta E^-r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver

SAFETY, POWER = 0.9, 0.9  # theta and r
WHOLE = 2**40  # the interval in units of its smallest step


@dataclass(frozen=True)
class AdaptiveSDE(Solver):
    """One solver step chooses its own: use Uniform(1). Two evaluations for each try.

    atol: in units of the state, [-1, 1] for images; 0.0078 is one of 256 grey levels. rtol: 0.02
    for quality, 0.05 for speed in the paper. first: length of the first try, in times.
    Each image has its own steps and its own noise for each try, so it does not depend on its batch;
    steps are halves of halves of the interval, so that images meet at times for which the score is
    asked once. As in the paper, a try that fails draws new noise.
    """

    rtol: float = 0.02
    atol: float = 0.0078
    first: float = 0.01
    weak_order: ClassVar[float | None] = 1.0

    def check(self, sde: SDE) -> None:
        """ValueError for a process with levels."""
        if sde.levels is not None:
            raise ValueError(
                f"AdaptiveSDE chooses times between the levels of {sde}; use a continuous process, "
                "as sde=vp, or a solver of fixed steps, as Ancestral or EulerMaruyama"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        """From t to s in as many steps as each image needs; ValueError where no step is small
        enough."""
        length = t - s
        x, before = x.clone(), x.abs()
        place = torch.zeros(len(x), dtype=torch.int64)  # how far each image is, in units
        allowed = torch.full((len(x),), float(self.first / length)).double() * WHOLE
        while bool((waits := place < WHOLE).any()):
            size = torch.where(waits, _dyadic(place, allowed), 0)
            if bool((size[waits] < 1).any()):
                raise ValueError(
                    "the reverse SDE cannot be followed: no step is small enough for "
                    f"rtol={self.rtol:g}, atol={self.atol:g}, or the score is not finite; "
                    "is it trained down to the end of the walk?"
                )
            z = randn(x)  # each image's own draw for this try
            h = (size / WHOLE * length).to(x).view(-1, *[1] * (x.ndim - 1))
            first, noise = _fields(reverse, x, place, t, length, waits)
            one = x - h * first + h.sqrt() * noise * z
            last, noise = _fields(reverse, one, place + size, t, length, waits)
            two = 0.5 * (one + x - h * last + h.sqrt() * noise * z)
            scale = (self.rtol * torch.maximum(one.abs(), before)).clamp(min=self.atol)
            error = ((one - two) / scale).flatten(1).square().mean(1).sqrt().double().cpu()
            good = waits & (error <= 1)
            kept = good.to(x.device).view_as(h)
            x, before = torch.where(kept, two, x), torch.where(kept, one.abs(), before)
            place += size * good
            factor = (SAFETY * error**-POWER).nan_to_num(nan=0.1).clamp(0.1, 10.0)
            allowed = torch.where(waits, size * factor, allowed)
        return x, None


def _dyadic(place: Tensor, allowed: Tensor) -> Tensor:
    """The largest powers of two that divide the places and are allowed; 0 where below one unit."""
    aligned = torch.where(place > 0, place & -place, WHOLE)
    power = torch.minimum(allowed, aligned.double()).log2().floor()
    return torch.where(allowed < 1, 0.0, 2**power).long()


def _fields(
    reverse: Reverse, x: Tensor, place: Tensor, t: Tensor, length: Tensor, waits: Tensor
) -> tuple[Tensor, Tensor]:
    """Drift and g of the reverse SDE of each image at its own time; one call for each time."""
    drift, g = torch.zeros_like(x), x.new_zeros(len(x), *[1] * (x.ndim - 1))
    for here in place[waits].unique().tolist():
        time = t - length * (here / WHOLE)
        rows = (waits & (place == here)).nonzero().flatten().to(x.device)
        drift[rows] = reverse.drift(x, time)[rows].to(x)  # the score may read the whole batch
        g[rows] = reverse.sde.diffusion(time).to(x)
    return drift, g
