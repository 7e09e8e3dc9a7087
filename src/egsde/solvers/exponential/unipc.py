"""UniPC: a predictor of order p and a corrector that reads the next step's evaluation (Zhao 2023).

arXiv 2302.04867. The corrector costs nothing: the value at s corrects x_s and is then the newest
of the next prediction. Before the last evaluation nothing is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.solvers.exponential.forms import DenoisedForm, Moments, Variable, bh2
from egsde.solvers.exponential.multistep import Multistep


@dataclass(frozen=True)
class UniPC(Multistep):
    """The corrector adds one order: order + 1, at most 3 since the first step starts anew.

    moments: `bh2` (the paper's choice for guided sampling) or `bh1`, for steps of order 1, 2;
    with more values both are the exact interpolation.
    """

    moments: Moments = bh2
    weak_order: ClassVar[float | None] = 3.0
    strong_order: ClassVar[float | None] = 3.0

    def form(self, s: Tensor) -> Variable:
        return DenoisedForm()

    def orders(self) -> tuple[float | None, float | None]:
        reached = float(min(self.order + 1, 3))  # 3: the first step's two values are order 2
        return reached, reached

    def corrected(self) -> int:
        return self.order
