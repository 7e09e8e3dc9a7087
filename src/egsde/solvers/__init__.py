"""Solvers: one step of one method each."""

from egsde.solvers.ancestral import Ancestral
from egsde.solvers.base import Solver
from egsde.solvers.ddim import DDIM
from egsde.solvers.euler_maruyama import EulerMaruyama

__all__ = ["DDIM", "Ancestral", "EulerMaruyama", "Solver"]
