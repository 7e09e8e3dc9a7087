"""Bootstrap intervals over images (Efron 1979), the same draws for every number of a run.

A mean: quantiles of the means of n images drawn with replacement. FID, KID, ISC: images of the sets
are drawn, pairs of one image with itself left out of KID, and the spread is laid around the value,
since a set with repeats has a larger FID than one without. From Gram matrices: rows are read once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

LEVEL = 0.95
MEANS, SETS = 2000, 200  # draws for means, and for FID and KID of up to a few hundred images
FEWEST, MOST_ROWS = 20, 3000  # draws and rows of FID and KID
WORK = 4e9  # multiplications of all draws together

Interval = tuple[float, float]
Numbers = Sequence[float] | np.ndarray


def draws_of_sets(n: int, m: int) -> int:
    """How often two sets of these sizes are drawn; 0 where they are too large."""
    if min(n, m) < 2 or max(n, m) > MOST_ROWS:
        return 0
    return int(min(SETS, max(FEWEST, WORK / (n * m * min(n, m)))))


def of_mean(values: Numbers, seed: int = 0, draws: int = MEANS) -> Interval | None:
    """The interval of a mean over images; None for fewer than two."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return None
    chance, means = np.random.default_rng(seed), []
    for _ in range(0, draws, 100):  # memory does not grow with the draws
        means.append(values[chance.integers(len(values), size=(100, len(values)))].mean(1))
    return _between(np.concatenate(means))


def of_difference(a: Numbers, b: Numbers, seed: int = 0) -> tuple[float, float, float] | None:
    """Mean of a - b over the same images, and its interval; None for fewer than two."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    interval = of_mean(difference, seed)
    return None if interval is None else (float(difference.mean()), *interval)


def of_sets(a: Tensor, b: Tensor, values: dict[str, float], seed: int = 0) -> dict[str, Interval]:
    """Intervals of "fid" and "kid", whichever `values` holds, of feature rows (n, d) and (m, d)."""
    draws, names = draws_of_sets(len(a), len(b)), {"fid", "kid"} & values.keys()
    if not draws or not names:
        return {}
    a, b = a.double(), b.double()
    grams = [x @ y.mT for x, y in ((a, a), (b, b), (a, b))]
    kernels = [(gram / a.shape[1] + 1) ** 3 for gram in grams]
    ways = {"fid": (_fid, grams), "kid": (_kid, kernels)}
    chance = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in sorted(names)}
    for _ in range(draws):
        i, j = (torch.from_numpy(chance.integers(len(x), size=len(x))) for x in (a, b))
        for name, drawn in found.items():
            way, between = ways[name]
            drawn.append(way(between, i, j))
    most = {k: v for k, v in found.items() if np.isfinite(v).sum() > draws / 2}  # not of two rows
    return {name: _around(values[name], drawn) for name, drawn in most.items()}


def of_score(logits: Tensor, value: float, seed: int = 0) -> Interval:
    """Of the Inception score of class logits (n, classes), images drawn, around its value."""
    p = logits.double().softmax(1)
    own = (p * p.clamp(min=1e-300).log()).sum(1)
    chance = np.random.default_rng(seed)
    counts = chance.multinomial(len(p), np.full(len(p), 1 / len(p)), size=SETS)
    share = torch.from_numpy(counts / len(p))
    mean = (share @ p).clamp(min=1e-300)
    return _around(value, (share @ own - (mean * mean.log()).sum(1)).exp().tolist())


def _fid(grams: Sequence[Tensor], i: Tensor, j: Tensor) -> float:
    """FID of the drawn rows by their scalar products a a', b b', a b'."""
    aa, bb, ab = grams[0][i][:, i], grams[1][j][:, j], grams[2][i][:, j]
    n, m = len(aa), len(bb)
    means = aa.mean() + bb.mean() - 2 * ab.mean()
    traces = (aa.trace() - n * aa.mean()) / (n - 1) + (bb.trace() - m * bb.mean()) / (m - 1)
    centred = ab - ab.mean(0, keepdim=True) - ab.mean(1, keepdim=True) + ab.mean()
    root = torch.linalg.svdvals(centred).sum() / ((n - 1) * (m - 1)) ** 0.5
    return float(means + traces - 2 * root)


def _kid(kernels: Sequence[Tensor], i: Tensor, j: Tensor) -> float:
    aa, bb, ab = kernels
    return _apart(aa, i) + _apart(bb, j) - 2 * float(ab[i][:, j].mean())


def _apart(kernel: Tensor, i: Tensor) -> float:
    """Mean over pairs of different images; NaN where one image alone was drawn."""
    apart = (i[:, None] != i[None, :]).to(kernel)
    return float((kernel[i][:, i] * apart).sum() / apart.sum())


def _around(value: float, drawn: Sequence[float]) -> Interval:
    able = np.asarray(drawn)[np.isfinite(drawn)]
    low, high = _between(able - able.mean())
    return value + min(low, 0.0), value + max(high, 0.0)


def _between(drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def described(n: int, m: int) -> str:
    """What the intervals are, for the protocol of n translations and m reference images."""
    sets = draws_of_sets(n, m)
    text = f"{LEVEL:.0%} of {MEANS} bootstrap draws over images, the same for all means"
    return f"{text}; FID and KID: {sets} draws of both sets" if sets else text


def means_of(
    rows: Sequence[Mapping[str, Any]], drawn: bool = True
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Means of the numbers of images by name ("id" is none), and their intervals where drawn."""
    means, within = {}, {}
    for name in dict.fromkeys(key for row in rows for key in row if key != "id"):
        values = [row[name] for row in rows if name in row]
        means[name] = math.fsum(values) / len(values)
        if drawn and (found := of_mean(values)) is not None:
            within[name] = found
    return means, within
