"""Multistep DPM-Solver and DPM-Solver++: exponential Adams--Bashforth on the probability-flow ODE.

    2M:  x_s = (sigma_s / sigma_t) x_t + alpha_s (1 - e^-h) (m_0 + (m_0 - m_1) / (2 r)),
    h = lambda_s - lambda_t, r = (previous h) / h, m the denoised images of this step and the last

Lu 2022 (arXiv 2206.00927: `DPMSolver`, predicted noises; 2211.01095: `DPMSolverPP`, denoised
images). Order 1 of both is DDIM.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.solvers.exponential.forms import DenoisedForm, Moments, NoiseForm, Variable, dpm
from egsde.solvers.exponential.multistep import Multistep


@dataclass(frozen=True)
class DPMSolverPP(Multistep):
    """moments: `dpm`, the official code's (2M above); `adams`, exact for the polynomial.

    They differ from order 2 on. order=3 is declared 2: under `dpm` always, under `adams` because
    the first step, of order 1, leaves an error of order 2. From T, where denoised images hardly
    change, that error is harmless, and `adams` converges with order 3.
    """

    moments: Moments = dpm

    def form(self, s: Tensor) -> Variable:
        return DenoisedForm()

    def orders(self) -> tuple[float | None, float | None]:
        reached = float(min(self.order, 2))
        return reached, reached


@dataclass(frozen=True)
class DPMSolver(DPMSolverPP):
    """The same in predicted noises; order 1: (alpha_s / alpha_t) x - sigma_s (e^h - 1) eps.

    Lu 2022, arXiv 2206.00927; `DPMSolverPP` is steadier under guidance.
    """

    def form(self, s: Tensor) -> Variable:
        return NoiseForm()
