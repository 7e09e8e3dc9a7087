"""What adversarial training is made of: a game, a pool, a penalty, and terms beside the game."""

from egsde.training.adversarial.games import Game, Hinge, LeastSquares, NonSaturating, Relativistic
from egsde.training.adversarial.patch_nce import PatchNCE, patch_nce
from egsde.training.adversarial.penalty import ZeroCentred
from egsde.training.adversarial.pool import Pool
from egsde.training.adversarial.terms import CycleConsistency, Identity, Round, Term, ToTruth

__all__ = [
    "CycleConsistency",
    "Game",
    "Hinge",
    "Identity",
    "LeastSquares",
    "NonSaturating",
    "PatchNCE",
    "Pool",
    "Relativistic",
    "Round",
    "Term",
    "ToTruth",
    "ZeroCentred",
    "patch_nce",
]
