"""Numbers of a translation run, and the protocol that says what they mean."""

from egsde.evaluation.metrics.distances import frechet, kid
from egsde.evaluation.metrics.domain import DomainAccuracy
from egsde.evaluation.metrics.features import Features
from egsde.evaluation.metrics.inception import Inception, find_inception
from egsde.evaluation.metrics.pairwise import l2, ms_ssim, mse, psnr, ssim
from egsde.evaluation.metrics.protocol import (
    CleanFid,
    DoublyNormalised,
    EvaluationProtocol,
    PytorchFid,
    TorchFidelity,
)
from egsde.evaluation.metrics.suite import Suite

__all__ = [
    "CleanFid",
    "DomainAccuracy",
    "DoublyNormalised",
    "EvaluationProtocol",
    "Features",
    "Inception",
    "PytorchFid",
    "Suite",
    "TorchFidelity",
    "find_inception",
    "frechet",
    "kid",
    "l2",
    "ms_ssim",
    "mse",
    "psnr",
    "ssim",
]
