"""Solvers: one step of one method each."""

from egsde.solvers.ancestral import Ancestral
from egsde.solvers.annealed_langevin import AnnealedLangevin
from egsde.solvers.base import Solver
from egsde.solvers.ddim import DDIM
from egsde.solvers.euler_maruyama import EulerMaruyama
from egsde.solvers.heun_sde import HeunSDE
from egsde.solvers.langevin import Langevin
from egsde.solvers.learned_variance import LearnedVariance
from egsde.solvers.predictor_corrector import PredictorCorrector
from egsde.solvers.reverse_diffusion import ReverseDiffusion
from egsde.solvers.srk import SRK
from egsde.solvers.time_travel import TimeTravel

__all__ = [
    "Ancestral",
    "AnnealedLangevin",
    "DDIM",
    "EulerMaruyama",
    "HeunSDE",
    "Langevin",
    "LearnedVariance",
    "PredictorCorrector",
    "ReverseDiffusion",
    "SRK",
    "Solver",
    "TimeTravel",
]
