"""The exponential family: steps in log(alpha / sigma) that solve the linear part exactly."""

from egsde.solvers.exponential.dpm_solver import DPMSolver, DPMSolverPP
from egsde.solvers.exponential.dpm_solver_single import DPMSolverPPSingle, DPMSolverSingle
from egsde.solvers.exponential.dpmpp_2m import DPMSolverPP2M
from egsde.solvers.exponential.forms import adams, bh1, bh2, dpm
from egsde.solvers.exponential.sa_solver import SASolver
from egsde.solvers.exponential.sde_dpm_solver_pp import SDEDPMSolverPP
from egsde.solvers.exponential.unipc import UniPC

__all__ = [
    "DPMSolver",
    "DPMSolverPP",
    "DPMSolverPP2M",
    "DPMSolverPPSingle",
    "DPMSolverSingle",
    "SASolver",
    "SDEDPMSolverPP",
    "UniPC",
    "adams",
    "bh1",
    "bh2",
    "dpm",
]
