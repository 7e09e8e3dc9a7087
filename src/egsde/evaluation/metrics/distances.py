"""FID (Heusel 2017) and KID (Binkowski 2018) between two sets of feature rows, in float64.

    FID = |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A B)^(1/2)        A, B: sample covariances
    KID = mean k(a, a') + mean k(b, b') - 2 mean k(a, b)              k(u, v) = (u.v / d + 1)^3

Rows: a (n, d), b (m, d), taken in blocks: time grows with n + m, and beside the rows themselves
memory does not grow. KID is over all pairs up to `EXACT` rows; above, it is torch-fidelity's mean
over `SUBSETS` subsets of `SUBSET` rows.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

BLOCK = 8192  # rows at a time
EXACT = 10_000  # the longest set of which all pairs are taken
SUBSETS, SUBSET = 100, 1000


def frechet(a: Tensor, b: Tensor) -> float:
    """FID of two sets of rows, exact also where n < d.

    With centred, scaled rows U, V (U'U = A, V'V = B) the eigenvalues of A B are the squared
    singular values of U V', so tr (A B)^(1/2) = sum svd(U V'): no matrix root, no 1e-6 on a
    singular diagonal. A set longer than d enters by its QR factor, block by block. Raises
    ValueError for sets of fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"FID needs at least two images on each side, got {len(a)} and {len(b)}")
    (mean_a, u), (mean_b, v) = moments(a), moments(b)
    root = torch.linalg.svdvals(u @ v.mT).sum()
    distance = (mean_a - mean_b).square().sum() + u.square().sum() + v.square().sum() - 2 * root
    return max(float(distance), 0.0)


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and a factor U of at most d rows, or n, with U'U the sample covariance."""
    blocks, d = rows.split(BLOCK), rows.shape[1]
    if len(blocks) == 1:
        mean = rows.double().mean(0)
    else:
        mean = torch.stack([block.double().sum(0) for block in blocks]).sum(0) / len(rows)
    factor = rows.new_empty(0, d, dtype=torch.float64)
    for block in blocks:
        scaled = (block.double() - mean) / math.sqrt(len(rows) - 1)
        factor = torch.cat([factor, scaled])
        if len(factor) > d:  # R of everything so far: R'R is the sum of the blocks' covariances
            factor = torch.linalg.qr(factor, mode="r").R
    return mean, factor


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) values of KID's kernel (a.b / d + 1)^3."""
    return (a @ b.mT / a.shape[1] + 1) ** 3


def kid(a: Tensor, b: Tensor, subset: int | None = None) -> tuple[float, float]:
    """Unbiased squared MMD (may be negative), and its standard error.

    Over all pairs the error is that of the U-statistic's first-order term, 4 (var h_a / n +
    var h_b / m) with h_a = mean k(a, .) - mean k(a, b): good when the sets differ, too small when
    they do not. Over subsets (torch-fidelity's, its random seed) it is their spread / sqrt(100);
    subset: take subsets of so many rows, however few there are, as torch-fidelity does.
    Raises ValueError for sets of fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"KID needs at least two images on each side, got {len(a)} and {len(b)}")
    if max(len(a), len(b)) > EXACT or subset is not None:
        return _over_subsets(a, b, subset or SUBSET)
    a, b = a.double(), b.double()
    aa, bb, ab, ba = (_row_means(*pair) for pair in ((a, a), (b, b), (a, b), (b, a)))
    h_a, h_b = aa - ab, bb - ba
    error = 2 * math.sqrt(float(h_a.var() / len(a) + h_b.var() / len(b)))
    return float(aa.mean() + bb.mean() - ab.mean() - ba.mean()), error


def kid_definition(n: int, m: int, subset: int | None = None) -> str:
    """How `kid` takes sets of these sizes, for the protocol."""
    which = "all pairs"
    if max(n, m) > EXACT or subset is not None:
        which = f"{SUBSETS} subsets of {min(subset or SUBSET, n, m)} (torch-fidelity's definition)"
    return f"unbiased MMD^2 over {which}, kernel (u.v / d + 1)^3, not scaled"


def _over_subsets(a: Tensor, b: Tensor, subset: int) -> tuple[float, float]:
    size, chance = min(subset, len(a), len(b)), np.random.RandomState(2020)
    values = []
    for _ in range(SUBSETS):
        some, others = (x[chance.choice(len(x), size, replace=False)] for x in (a, b))
        values.append(kid(some, others)[0])
    return float(np.mean(values)), float(np.std(values)) / math.sqrt(SUBSETS)


def _row_means(a: Tensor, b: Tensor) -> Tensor:
    """Mean of k(a_i, b_j) over j, leaving out j = i where both sets are the same."""
    block = min(4096, max(1, 2**24 // len(b)))  # 128 MiB of kernel values at a time
    sums = torch.cat([kernel(rows, b).sum(1) for rows in a.split(block)])
    if a is not b:
        return sums / len(b)
    own = (a.square().sum(1) / a.shape[1] + 1) ** 3
    return (sums - own) / (len(b) - 1)
