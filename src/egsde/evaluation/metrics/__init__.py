"""Numbers of a translation run, and the protocol that says what they mean."""

from egsde.evaluation.metrics.distances import frechet, kid
from egsde.evaluation.metrics.domain import DomainAccuracy
from egsde.evaluation.metrics.features import Features
from egsde.evaluation.metrics.flicker import Flicker, flicker
from egsde.evaluation.metrics.inception import Inception, find_inception
from egsde.evaluation.metrics.neighbours import precision_and_recall
from egsde.evaluation.metrics.pairwise import l2, ms_ssim, mse, psnr, ssim, tint
from egsde.evaluation.metrics.per_image import PerImage, per_image
from egsde.evaluation.metrics.protocol import (
    CleanFid,
    DoublyNormalised,
    EvaluationProtocol,
    PytorchFid,
    TorchFidelity,
)
from egsde.evaluation.metrics.sets import OfSets, SetNumbers, inception_score
from egsde.evaluation.metrics.suite import Suite
from egsde.evaluation.metrics.texture import noise

__all__ = [
    "CleanFid",
    "DomainAccuracy",
    "DoublyNormalised",
    "EvaluationProtocol",
    "Features",
    "Flicker",
    "Inception",
    "OfSets",
    "PerImage",
    "PytorchFid",
    "SetNumbers",
    "Suite",
    "TorchFidelity",
    "find_inception",
    "flicker",
    "frechet",
    "inception_score",
    "kid",
    "l2",
    "ms_ssim",
    "mse",
    "noise",
    "per_image",
    "precision_and_recall",
    "psnr",
    "ssim",
    "tint",
]
