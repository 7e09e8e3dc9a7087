"""FID (Heusel 2017) and KID (Binkowski 2018) between two sets of feature rows, in float64.

    FID = |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A B)^(1/2)        A, B: sample covariances
    KID = mean k(a, a') + mean k(b, b') - 2 mean k(a, b)              k(u, v) = (u.v / d + 1)^3

Rows: a (n, d), b (m, d).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def frechet(a: Tensor, b: Tensor) -> float:
    """FID of two sets of rows, exact also where n < d.

    With centred, scaled rows U, V (U'U = A, V'V = B) the eigenvalues of A B are the squared
    singular values of U V', so tr (A B)^(1/2) = sum svd(U V'): no matrix root, no 1e-6 on a
    singular diagonal. A set longer than d enters by its QR factor. Raises ValueError for sets of
    fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"FID needs at least two images on each side, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    mean_a, mean_b = a.mean(0), b.mean(0)
    u, v = (a - mean_a) / math.sqrt(len(a) - 1), (b - mean_b) / math.sqrt(len(b) - 1)
    u, v = (torch.linalg.qr(w, mode="r").R if len(w) > w.shape[1] else w for w in (u, v))
    root = torch.linalg.svdvals(u @ v.mT).sum()
    distance = (mean_a - mean_b).square().sum() + u.square().sum() + v.square().sum() - 2 * root
    return max(float(distance), 0.0)


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) values of KID's kernel (a.b / d + 1)^3."""
    return (a @ b.mT / a.shape[1] + 1) ** 3


def kid(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Unbiased squared MMD over all pairs (no subsets, may be negative), and its standard error.

    The error is that of the U-statistic's first-order term, 4 (var h_a / n + var h_b / m) with
    h_a = mean k(a, .) - mean k(a, b): good when the sets differ, too small when they do not.
    Raises ValueError for sets of fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"KID needs at least two images on each side, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    aa, bb, ab, ba = (_row_means(*pair) for pair in ((a, a), (b, b), (a, b), (b, a)))
    h_a, h_b = aa - ab, bb - ba
    error = 2 * math.sqrt(float(h_a.var() / len(a) + h_b.var() / len(b)))
    return float(aa.mean() + bb.mean() - ab.mean() - ba.mean()), error


def _row_means(a: Tensor, b: Tensor, block: int = 4096) -> Tensor:
    """Mean of k(a_i, b_j) over j, leaving out j = i where both sets are the same."""
    sums = torch.cat([kernel(rows, b).sum(1) for rows in a.split(block)])
    if a is not b:
        return sums / len(b)
    own = (a.square().sum(1) / a.shape[1] + 1) ** 3
    return (sums - own) / (len(b) - 1)
