"""Numbers of a translation run, and the protocol that says what they mean."""

from egsde.metrics.distances import frechet, kid
from egsde.metrics.domain import DomainAccuracy
from egsde.metrics.features import Features
from egsde.metrics.inception import Inception, find_inception
from egsde.metrics.pairwise import l2, ms_ssim, mse, psnr, ssim
from egsde.metrics.protocol import (
    CleanFid,
    DoublyNormalised,
    EvaluationProtocol,
    PytorchFid,
    TorchFidelity,
)
from egsde.metrics.suite import Suite

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
