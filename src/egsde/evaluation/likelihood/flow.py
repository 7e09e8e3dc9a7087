"""log p(x) by the probability-flow ODE: log p_T(x_T) + integral of div b, b = f x - g^2 score / 2.

Song 2021 (arXiv 2011.13456), eq. 39; integrated from `t_train` to T with the state in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.evaluation.likelihood.divergence import Hutchinson, Probes, with_divergence
from egsde.evaluation.likelihood.terms import bits_per_dim
from egsde.noise import Noise, Randn, Replay
from egsde.scores import Score, process_of
from egsde.sde import SDE
from egsde.solvers.dormand_prince import integrate


@dataclass(frozen=True)
class LogDensity:
    """log_prob (B,) in nats, float64; latent x_T; evaluations of the score (B,)."""

    log_prob: Tensor
    latent: Tensor
    nfe: Tensor


@dataclass(frozen=True)
class ProbabilityFlow:
    """probes: Basis() for the exact divergence, Hutchinson() for an unbiased one.

    prior: log density of x_T, (B, C, H, W) -> (B,); None: N(0, sigma(T)^2). dequantise: give
    every pixel value of 8 bits the uniform noise that makes it a real number. ValueError for a
    chain of levels, which has no flow.
    """

    score: Score
    probes: Probes = Hutchinson()
    prior: Callable[[Tensor], Tensor] | None = None
    dequantise: bool = True
    rtol: float = 1e-5
    atol: float = 1e-5

    names = ("bits_per_dim", "log_prob", "nfe")  # of what it measures
    steps = 200  # evaluations to expect, for a progress bar

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    def __post_init__(self) -> None:
        if self.sde.levels is not None:
            raise ValueError(
                f"{self.sde} has only levels, no flow between them; use the VariationalBound "
                "(likelihood=bound), or a score of a continuous process such as sde=vp"
            )

    def __call__(self, x: Tensor, noise: Noise | Replay) -> dict[str, Tensor]:
        """Per image (B,): bits_per_dim, log_prob in nats, nfe."""
        if self.dequantise:
            x = dequantised(x, noise.stream("dequantise"))
        found = self.log_prob(x, noise)
        bits = bits_per_dim(-found.log_prob, x[0].numel())
        return {"bits_per_dim": bits, "log_prob": found.log_prob, "nfe": found.nfe}

    @torch.inference_mode(False)
    @torch.no_grad()
    def log_prob(self, x: Tensor, noise: Noise | Replay) -> LogDensity:
        """log density of images (B, C, H, W); the probes are the stream "probe"."""
        state = x.to(torch.float64, copy=True)
        probes = self.probes.draw(state, noise.stream("probe"))

        def field(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
            image = y[:, :-1].reshape(len(rows), *x.shape[1:])
            velocity, divergence = self._velocity(image, t, probes[rows], x.dtype)
            return torch.cat([velocity.flatten(1), divergence[:, None]], 1)

        start = torch.cat([state.flatten(1), state.new_zeros(len(x), 1)], 1)
        end, nfe = integrate(field, start, self.sde.t_train, self.sde.T, self.rtol, self.atol)
        latent = end[:, :-1].reshape(x.shape)
        prior = self._prior(latent) if self.prior is None else self.prior(latent)
        return LogDensity(prior + end[:, -1], latent, nfe)

    def _velocity(
        self, x: Tensor, t: Tensor, probes: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """b(x, t) and its divergence; the network sees the images' own dtype."""

        def score(image: Tensor) -> Tensor:
            return self.score(image.to(dtype), t, None).to(image)

        value, divergence = with_divergence(score, x, probes)
        f, half = self.sde.drift(t), 0.5 * self.sde.diffusion(t).square()
        return f * x - half * value, f * x[0].numel() - half * divergence

    def _prior(self, x: Tensor) -> Tensor:
        sigma = float(self.sde.sigma(torch.tensor(self.sde.T, dtype=torch.float64)))
        log_norm = math.log(2 * math.pi * sigma**2) / 2
        return -((x / sigma).square() / 2 + log_norm).flatten(1).sum(1)


def dequantised(x: Tensor, randn: Randn, bins: int = 256) -> Tensor:
    """Values 2 k / (bins - 1) - 1 -> 2 (k + u) / bins - 1 with u uniform in [0, 1) (Theis 2016)."""
    u = torch.special.ndtr(randn(x))
    return ((x + 1) / 2 * (bins - 1) + u) / bins * 2 - 1
