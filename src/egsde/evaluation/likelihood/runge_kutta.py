"""Dormand & Prince's 5(4) pair with steps of its own for every row: results know no batch.

Control of the step as in Hairer, Norsett & Wanner, "Solving ordinary differential equations I",
II.4: the RMS over a row of error / (atol + rtol |y|) stays below one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor, Tensor], Tensor]  # (t (R,), y (R, n), rows (R,)) -> dy/dt (R, n)

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
SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0


def integrate(
    field: Field, y: Tensor, start: float, end: float, rtol: float = 1e-5, atol: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """y (B, n) at `start` -> (y at `end`, evaluations of the field by row (B,)).

    ValueError where no step is small enough: the field is not finite, or not smooth.
    """
    every = torch.arange(len(y), device=y.device)
    t = torch.full((len(y),), start, dtype=torch.float64, device=y.device)
    f = field(t, y, every)
    h = _first_step(field, t, y, f, end, rtol, atol)
    grow = torch.full_like(h, GROW)
    count = torch.full_like(every, 2)
    while len(rows := (t != end).nonzero().flatten()):
        left = end - t[rows]
        last = h[rows].abs() >= left.abs()
        step = torch.where(last, left, h[rows])
        if not bool((step.abs() > 1e-14 * abs(end - start)).all()):
            raise ValueError(
                f"the flow cannot be followed at t={float(t[rows].min()):.4g}: its field is not "
                "finite or not smooth there; is the score trained down to that time?"
            )
        new, f_new, error = _step(field, t[rows], y[rows], f[rows], step, rows)
        scale = atol + rtol * torch.maximum(y[rows].abs(), new.abs())
        size = _rms(error / scale).nan_to_num(nan=torch.inf)
        count[rows] += len(NODES)
        good = size <= 1
        factor = (SAFETY * size**-0.2).clamp(min=SHRINK)
        h[rows] = step * torch.where(good, torch.minimum(factor, grow[rows]), factor.clamp(max=1))
        grow[rows] = torch.where(good, GROW, 1.0).to(grow)  # none right after a rejected step
        t[rows] = torch.where(good, torch.where(last, end, t[rows] + step), t[rows])
        y = y.index_copy(0, rows, torch.where(good[:, None], new, y[rows]))
        f = f.index_copy(0, rows, torch.where(good[:, None], f_new, f[rows]))
    return y, count


def _step(
    field: Field, t: Tensor, y: Tensor, f: Tensor, h: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(y at t + h, the field there, the estimated error)."""
    slopes, new = [f], y
    for node, weights in zip(NODES, STAGES, strict=True):
        new = y + h[:, None] * sum(w * k for w, k in zip(weights, slopes, strict=True))
        slopes.append(field(t + node * h, new, rows))
    error = h[:, None] * sum(w * k for w, k in zip(ERROR, slopes, strict=True))
    return new, slopes[-1], error


def _first_step(
    field: Field, t: Tensor, y: Tensor, f: Tensor, end: float, rtol: float, atol: float
) -> Tensor:
    """A first step (B,), signed, from the sizes of y, y' and y''."""
    towards = 1.0 if end > float(t[0]) else -1.0
    scale = atol + rtol * y.abs()
    d0, d1 = _rms(y / scale), _rms(f / scale)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / d1)
    h0 = h0.clamp(max=abs(end - float(t[0])))
    ahead = field(
        t + towards * h0, y + towards * h0[:, None] * f, torch.arange(len(y)).to(t.device)
    )
    d2 = _rms((ahead - f) / scale) / h0
    h1 = (0.01 / torch.maximum(d1, d2).clamp(min=1e-15)) ** 0.2
    return towards * torch.minimum(100 * h0, h1)


def _rms(y: Tensor) -> Tensor:
    return y.square().mean(1).sqrt()
