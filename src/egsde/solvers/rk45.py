"""Dormand--Prince 5(4) with adaptive steps for the probability-flow ODE, by SciPy (Song 2021).

score_sde's ODE sampler (sampling.py): rtol = atol = 1e-5 on the whole interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver


@dataclass(frozen=True)
class RK45(Solver):
    """One solver step chooses its own: use Uniform(1). The state is float64 between evaluations.

    Each image has its own step sizes, so it does not depend on its batch. The score may read the
    batch's source and is asked for the whole batch each time: a batch of one is cheapest.
    Declared orders are those of its steps; rtol and atol set the error.
    """

    rtol: float = 1e-5
    atol: float = 1e-5
    weak_order: ClassVar[float | None] = 5.0
    strong_order: ClassVar[float | None] = 5.0

    def check(self, sde: SDE) -> None:
        if sde.levels is not None:
            raise ValueError(
                f"RK45 chooses times between the levels of {sde}; use a continuous process, as "
                "sde=vp, or a solver of fixed steps, as Heun or DPMSolverPP"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        rows = [self._integrate(reverse, x, row, t, s) for row in range(len(x))]
        return torch.stack(rows), None

    def _integrate(self, reverse: Reverse, x: Tensor, row: int, t: Tensor, s: Tensor) -> Tensor:
        batch = x.clone()

        def slope(time: float, state: np.ndarray) -> np.ndarray:
            batch[row] = torch.as_tensor(state).view(x.shape[1:]).to(x)
            drift = reverse.drift(batch, torch.tensor(time, dtype=torch.float64), eta=0)
            return drift[row].double().flatten().cpu().numpy()

        start = x[row].double().flatten().cpu().numpy()
        span = (float(t), float(s))
        solved = solve_ivp(slope, span, start, "RK45", [span[1]], rtol=self.rtol, atol=self.atol)
        return torch.as_tensor(solved.y[:, -1]).view(x.shape[1:]).to(x)
