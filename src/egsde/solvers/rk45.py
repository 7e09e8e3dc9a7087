"""Dormand--Prince 5(4) with adaptive steps for the probability-flow ODE (Song 2021).

score_sde's ODE sampler (sampling.py): rtol = atol = 1e-5 on the whole interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from egsde.noise import Randn
from egsde.sde import SDE
from egsde.sde.reverse import Reverse
from egsde.solvers.base import Carry, Solver
from egsde.solvers.dormand_prince import integrate


@dataclass(frozen=True)
class RK45(Solver):
    """One solver step chooses its own: use Uniform(1). The state is float64 between evaluations.

    Each image has its own step sizes, so it does not depend on its batch, and they meet at shared
    times: a batch asks the score hardly more often than one image. The score may read the batch's
    source, so it always sees the whole batch. Declared orders are those of its steps; rtol and
    atol set the error.
    """

    rtol: float = 1e-5
    atol: float = 1e-5
    weak_order: ClassVar[float | None] = 5.0
    strong_order: ClassVar[float | None] = 5.0

    def check(self, sde: SDE) -> None:
        """ValueError for a process with levels."""
        if sde.levels is not None:
            raise ValueError(
                f"RK45 chooses times between the levels of {sde}; use a continuous process, as "
                "sde=vp, or a solver of fixed steps, as Heun or DPMSolverPP"
            )

    def step(
        self, reverse: Reverse, x: Tensor, t: Tensor, s: Tensor, randn: Randn, carry: Carry = None
    ) -> tuple[Tensor, Carry]:
        batch = x.clone()

        def field(time: Tensor, state: Tensor, rows: Tensor) -> Tensor:
            batch[rows] = state.view(len(rows), *x.shape[1:]).to(x)
            return reverse.drift(batch, time, eta=0)[rows].flatten(1).double()

        y, _ = integrate(field, x.flatten(1).double(), float(t), float(s), self.rtol, self.atol)
        return y.view(x.shape).to(x), None
