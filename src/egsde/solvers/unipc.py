"""UniPC: a predictor of order p and a corrector that reads the next step's evaluation (Zhao 2023).

arXiv 2302.04867. The corrector costs nothing: the value at s corrects x_s and is then the newest
of the next prediction. Before the last evaluation nothing is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.solvers.exponential import Data, Form, Moments, bh2
from egsde.solvers.multistep import Multistep


@dataclass(frozen=True)
class UniPC(Multistep):
    """moments: `bh2` (the paper's choice for guided sampling) or `bh1`, for steps of order 1, 2;
    with more values both are the exact interpolation."""

    moments: Moments = bh2

    def form(self, s: Tensor) -> Form:
        return Data()

    def corrected(self) -> int:
        return self.order
