"""A network as the flow map of a guided walk: from y_t to y_s in one evaluation, given the source.

    G(y, t, s, x) = alpha_s x0 + sigma_s eps,    eps = -sigma_t score(net([x, scale y], t, s))

with x0 = (y - sigma_t eps) / alpha_t: DDIM's step, so that a network that is a score makes one, and
G(y, t, t, x) = y for any network. With skip > 0 a share g = skip sigma_t / sqrt(alpha_t^2 +
sigma_t^2) of x0 is the source itself, and eps what is left of y: a translation that keeps the
source's details need not draw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from egsde.scores.model import autocast_of, label_of
from egsde.scores.predictions import EpsPrediction, Prediction
from egsde.sde import SDE


class FlowMap(nn.Module):
    """net: (cat(x, y), label of t, to=label of s) -> (B, C, H, W) of the prediction's kind.

    times: where the segments of the walk that it learned begin and end, falling; ValueError for
    less than two, and for a skip outside [0, 1). calls counts evaluations.
    """

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        prediction: Prediction = EpsPrediction(),  # noqa: B008 (frozen)
        *,
        times: Sequence[float] = (),
        skip: float = 0.0,
        autocast: bool = False,
    ) -> None:
        super().__init__()
        self.net, self.sde, self.prediction = net, sde, prediction
        self.times, self.skip, self.autocast, self.calls = list(times), skip, autocast, 0
        if not 0 <= skip < 1:
            raise ValueError(
                f"skip is the source's share in the clean image, in [0, 1), got {skip}"
            )
        if self.times and (len(self.times) < 2 or any(s >= t for t, s in pairwise(self.times))):
            raise ValueError(f"a flow map's times fall from its start to its end, got {self.times}")

    def forward(self, y: Tensor, t: Tensor, s: Tensor, x: Tensor) -> Tensor:
        """The state at s, like y (B, C, H, W), from the one at t; t and s () or (B, 1, 1, 1)."""
        self.calls += 1
        sde, alpha, sigma = self.sde, self.sde.alpha(t), self.sde.sigma(t)
        scaled = (self.prediction.scale(alpha, sigma) * y).to(y.dtype)
        end = s.clamp(min=sde.t_noisy)  # a label of clean data need not exist
        labels = [label_of(self.prediction.label(sde, at), y) for at in (t, end)]
        with autocast_of(y, self.autocast):
            output = self.net(torch.cat([x.to(y.dtype), scaled], 1), labels[0], to=labels[1])
        eps = -sigma * self.prediction.score(output.to(y.dtype), y, alpha, sigma)
        if self.skip:
            share = self.skip * sigma * (alpha.square() + sigma.square()).rsqrt()
            eps = eps + share * ((y - alpha * x) / sigma - eps)
        x0 = (y - sigma * eps) / alpha
        return (sde.alpha(s) * x0 + sde.sigma(s) * eps).to(y.dtype)
