"""Dormand & Prince 5(4), adaptive: steps of its own for every image, at times that a batch shares.

Steps are halves of halves of the interval, each from a multiple of its own size: an image takes the
largest that its own error allows, whatever the batch, and images still meet at the same times. So
a batch asks the field about as often as its most demanding image, always at one time for all.

Control as in Hairer, Norsett & Wanner, "Solving ordinary differential equations I", II.4: the RMS
over an image of error / (atol + rtol |y|) stays below one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor, Tensor], Tensor]  # (t (), y (R, n), rows (R,)) -> dy/dt (R, n)

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),  # the fifth order result
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
SAFETY, SHRINK, GROW = 0.9, 0.1, 10.0
WHOLE = 2**45  # the interval in units of its smallest step


def integrate(
    field: Field, y: Tensor, start: float, end: float, rtol: float = 1e-5, atol: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """y (B, n) at `start` -> (y at `end`, evaluations of the field by row (B,)).

    ValueError where no step is small enough: the field is not finite, or not smooth.
    """

    def time(place: int) -> Tensor:
        t = end if place == WHOLE else start + (end - start) * (place / WHOLE)
        return torch.tensor(t, dtype=torch.float64)

    every = torch.arange(len(y), device=y.device)
    f = field(time(0), y, every)
    count = torch.ones_like(every)
    place = torch.zeros(len(y), dtype=torch.int64)  # how far each row is, in units
    allowed = _first_step(y, f, rtol, atol) / abs(end - start) * WHOLE  # by its error, in units
    while bool((place < WHOLE).any()):
        here = int(place[place < WHOLE].min())
        size = _largest(here, allowed)
        size = torch.where(place == here, size, 0)
        step = int(size.max())  # of those who wait here; the others have theirs in the next rounds
        if step < 1 or bool((size[place == here] < 1).any()):
            raise ValueError(
                f"the flow cannot be followed at t={float(time(here)):.4g}: its field is not "
                "finite or not smooth there; is the score trained down to that time?"
            )
        chosen = size == step
        rows = chosen.nonzero().flatten().to(y.device)
        new, f_new, error = _step(field, time(here), time(here + step), y[rows], f[rows], rows)
        scale = atol + rtol * torch.maximum(y[rows].abs(), new.abs())
        ratio = _rms(error / scale).nan_to_num(nan=torch.inf).cpu()
        count[rows] += len(NODES)
        good = ratio <= 1
        factor = (SAFETY * ratio**-0.2).clamp(SHRINK, GROW)
        allowed[chosen] = step * torch.where(good, factor, factor.clamp(max=SAFETY)).double()
        place[chosen] += step * good
        kept = good.to(y.device)[:, None]
        y = y.index_copy(0, rows, torch.where(kept, new, y[rows]))
        f = f.index_copy(0, rows, torch.where(kept, f_new, f[rows]))
    return y, count


def _largest(here: int, allowed: Tensor) -> Tensor:
    """The largest power of two that divides `here` and is allowed, int64; 0 for none."""
    aligned = here & -here if here else WHOLE
    power = allowed.clamp(max=aligned).log2().floor()
    return torch.where(allowed < 1, 0.0, 2**power).nan_to_num(nan=0.0).long()


def _step(
    field: Field, t: Tensor, s: Tensor, y: Tensor, f: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(y at s, the field there, the estimated error)."""
    h, slopes, new = float(s - t), [f], y
    for node, weights in zip(NODES, STAGES, strict=True):
        new = y + h * _mixed(weights, slopes)
        slopes.append(field(s if node == 1 else t + node * h, new, rows))
    return new, slopes[-1], h * _mixed(ERROR, slopes)


def _mixed(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        total = total + weight * slope
    return total


def _first_step(y: Tensor, f: Tensor, rtol: float, atol: float) -> Tensor:
    """A first length (B,) from the sizes of y and y'; a wrong one costs a rejected step."""
    scale = atol + rtol * y.abs()
    return (0.1 * (_rms(y / scale) / _rms(f / scale))).nan_to_num(1e-6, 1.0).clamp(min=1e-6).cpu()


def _rms(y: Tensor) -> Tensor:
    return y.square().mean(1).sqrt()
