"""Mixed score prediction: a network corrects the score of N(0, 1) (LSGM, Vahdat 2021, section 3.2).

    s(z_t, t) = (1 - alpha) (-z_t / (alpha_t^2 + sigma_t^2)) + alpha s_net(z_t, t)

alpha in [0, 1] of each channel is the network's; in the noise eps = -sigma_t s of a process that
preserves variance this is the paper's sigma_t (1 - alpha) z_t + alpha eps_net. alpha = 0 is the
Gaussian prior of a plain VAE.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from egsde.scores.model import ScoreModel


class MixedScore(ScoreModel):
    """A network with an `alpha` that broadcasts to (B, C, h, w), such as `LSGM.prior`."""

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        net: Any = self.net
        own = super().score(x, t)
        variance = self.sde.alpha(t).square() + self.sde.sigma(t).square()
        gaussian = (-x / variance).to(own.dtype)
        return gaussian + net.alpha.to(own) * (own - gaussian)
