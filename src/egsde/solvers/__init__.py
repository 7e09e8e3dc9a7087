"""Solvers: one step of one method each."""

from egsde.solvers.adaptive_sde import AdaptiveSDE
from egsde.solvers.ancestral import Ancestral
from egsde.solvers.annealed_langevin import AnnealedLangevin
from egsde.solvers.base import Solver
from egsde.solvers.ddim import DDIM
from egsde.solvers.edm_heun import EDMHeun
from egsde.solvers.euler_maruyama import EulerMaruyama
from egsde.solvers.exponential.dpm_solver import DPMSolver, DPMSolverPP
from egsde.solvers.exponential.dpm_solver_single import DPMSolverPPSingle, DPMSolverSingle
from egsde.solvers.exponential.dpmpp_2m import DPMSolverPP2M
from egsde.solvers.exponential.sa_solver import SASolver
from egsde.solvers.exponential.sde_dpm_solver_pp import SDEDPMSolverPP
from egsde.solvers.exponential.unipc import UniPC
from egsde.solvers.guided_adams import GuidedAdams
from egsde.solvers.heun import Heun
from egsde.solvers.heun_sde import HeunSDE
from egsde.solvers.langevin import Langevin
from egsde.solvers.learned_variance import LearnedVariance
from egsde.solvers.predictor_corrector import PredictorCorrector
from egsde.solvers.refined import Refined
from egsde.solvers.reverse_diffusion import ReverseDiffusion
from egsde.solvers.rk45 import RK45
from egsde.solvers.srk import SRK
from egsde.solvers.time_travel import TimeTravel

__all__ = [
    "AdaptiveSDE",
    "Ancestral",
    "AnnealedLangevin",
    "DDIM",
    "DPMSolver",
    "DPMSolverPP",
    "DPMSolverPP2M",
    "DPMSolverPPSingle",
    "DPMSolverSingle",
    "EDMHeun",
    "EulerMaruyama",
    "GuidedAdams",
    "Heun",
    "HeunSDE",
    "Langevin",
    "LearnedVariance",
    "PredictorCorrector",
    "RK45",
    "Refined",
    "ReverseDiffusion",
    "SASolver",
    "SDEDPMSolverPP",
    "SRK",
    "Solver",
    "TimeTravel",
    "UniPC",
]
