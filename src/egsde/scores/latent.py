"""A network that sees a latent z ~ N(0, I) beside x_t: one of many clean images, not their mean.

The denoising diffusion GAN (Xiao 2022, arXiv 2112.07804): x_0 = G(x_t, z, t) and the step is the
posterior's q(x_s | x_t, x_0), so that any solver that asks for x_0 once a step can walk. z is an
image of noise in the channels after those of x_t; how many, the network's input tells.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from egsde.scores.model import ScoreModel
from egsde.scores.predictions import Prediction, X0Prediction
from egsde.sde import SDE
from egsde.source import Source


class LatentScore(ScoreModel):
    """A network (cat(x_t, z), label) -> (B, C, H, W). ValueError where it takes no more channels
    than images have, or is asked without a source, whose noise z is of."""

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        prediction: Prediction = X0Prediction(),  # noqa: B008 (frozen)
        *,
        autocast: bool = False,
    ) -> None:
        super().__init__(net, sde, prediction, autocast=autocast)

    def latent(self, x: Tensor) -> Tensor:
        """An empty z for x."""
        takes: Any = self.net.in_channels
        wide = takes - x.shape[1]
        if wide < 1:
            raise ValueError(
                f"the network takes {takes} channels, which leaves no latent beside "
                f"the image's {x.shape[1]}; use a larger network.in_channels"
            )
        return x.new_empty(len(x), wide, *x.shape[2:])

    def drawn(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """The network's output at x_t and z, (B, C, H, W)."""
        return self.evaluate(torch.cat([self.scaled(x, t), z.to(x.dtype)], dim=1), t)

    def guess(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """A clean image of x_t, (B, C, H, W)."""
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        return self.prediction.clean(self.drawn(x, t, z), x, alpha, sigma).to(x.dtype)

    def forward(  # type: ignore[override]
        self, y: Tensor, t: Tensor, source: Source | None = None
    ) -> Tensor:
        if source is None:
            raise ValueError("a latent is drawn from the source's noise, and there is no source")
        z = source.noise.stream(f"latent/{float(t):.9g}")(self.latent(y))
        return self.prediction.score(self.drawn(y, t, z), y, self.sde.alpha(t), self.sde.sigma(t))
