"""log p of images: exact by the probability-flow ODE, or bounded from above on a chain."""

from egsde.likelihood.terms import (
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
    "Decoder",
    "Density",
    "Discretised",
    "bits_per_dim",
    "gaussian_kl",
    "posterior",
    "prior_kl",
    "step_kl",
]
