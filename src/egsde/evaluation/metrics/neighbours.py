"""Precision and recall of two sets of feature rows (Kynkaanniemi 2019).

    precision: share of translations within the k-th nearest neighbour's distance of a real image
    recall: share of real images within that of a translation

Distances as torch-fidelity takes them (torch.cdist in float32), so the shares are equal to its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

K = 3
BLOCK = 4096


def precision_and_recall(made: Tensor, real: Tensor, k: int = K) -> tuple[Tensor, Tensor]:
    """Inside or not, for each row of made (n, d) and of real (m, d): float64 0 or 1.

    Raises ValueError where a set has no k-th neighbour: it needs more than k rows.
    """
    if min(len(made), len(real)) <= k:
        raise ValueError(
            f"precision and recall need more than k={k} images on each side, got {len(made)} and "
            f"{len(real)}"
        )
    return _inside(made, real, k), _inside(real, made, k)


def _inside(rows: Tensor, others: Tensor, k: int) -> Tensor:
    """Which rows lie in the ball around any of the others, as wide as its k-th neighbour is far."""
    blocks = others.split(BLOCK)
    radius = torch.cat([torch.cdist(b, others).kthvalue(k + 1).values for b in blocks])
    found = [(torch.cdist(b, others) <= radius).any(1) for b in rows.split(BLOCK)]
    return torch.cat(found).double()
