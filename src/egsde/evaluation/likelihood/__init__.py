"""log p of images: exact by the probability-flow ODE, or bounded on a chain of steps."""

from egsde.evaluation.likelihood.bound import VariationalBound
from egsde.evaluation.likelihood.divergence import Basis, Hutchinson, with_divergence
from egsde.evaluation.likelihood.flow import LogDensity, ProbabilityFlow, dequantised
from egsde.evaluation.likelihood.terms import (
    Decoder,
    Density,
    Discretised,
    bits_per_dim,
    gaussian_kl,
    posterior,
    prior_kl,
    step_kl,
)

__all__ = [
    "Basis",
    "Decoder",
    "Density",
    "Discretised",
    "Hutchinson",
    "LogDensity",
    "ProbabilityFlow",
    "VariationalBound",
    "bits_per_dim",
    "dequantised",
    "gaussian_kl",
    "posterior",
    "prior_kl",
    "step_kl",
    "with_divergence",
]
