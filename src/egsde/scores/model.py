"""Networks as functions of (y, t): score = map(net(y, time label)), and frozen classifiers.

The only place where a network's input is made: the scaled image and the (B,) label of the time
(`egsde.scores.predictions`). `calls` counts network evaluations (one per batch).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from egsde.scores.predictions import EpsPrediction, Prediction
from egsde.sde import SDE


def label_of(label: Tensor, x: Tensor) -> Tensor:
    """The label of a time for every image, (B,)."""
    return label.flatten().to(x).expand(x.shape[0])  # not len(x), which an export would fix


def autocast_of(x: Tensor, enabled: bool) -> AbstractContextManager:
    """bfloat16 where it is asked for and the hardware multiplies it."""
    fast = x.is_cuda or torch.cpu._is_amx_tile_supported()  # elsewhere far slower than float32
    if enabled and fast:
        return torch.autocast(x.device.type, torch.bfloat16)
    return nullcontext()  # a disabled autocast would switch off that of the Trainer


class ScoreViews:
    """What is read from a network's outputs: the prediction, a learned variance, the score."""

    sde: SDE
    prediction: Prediction
    known: Tensor | None = None  # (B, 1 or C, H, W), 1 where nothing is left to predict

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """All channels that the network returns at x_t, (B, C', H, W)."""
        raise NotImplementedError

    def output(self, x: Tensor, t: Tensor) -> Tensor:
        """The prediction at x_t, (B, C, H, W)."""
        return self.outputs(x, t)[:, : x.shape[1]]

    def learned_v(self, x: Tensor, t: Tensor) -> Tensor:
        """v of a learned log variance v log beta + (1 - v) log posterior (Nichol 2021), like x.

        One more evaluation of the network; ValueError where it has no second half of channels.
        """
        second = self.outputs(x, t)[:, x.shape[1] :]
        if second.shape != x.shape:
            raise ValueError(
                f"no learned variance: the network returns {second.shape[1]} channels beside the "
                f"{x.shape[1]} of the prediction; train with loss=hybrid network.learn_sigma=true"
            )
        return (second + 1) / 2

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """The score at x_t, (B, C, H, W)."""
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        return self.prediction.score(self.output(x, t), x, alpha, sigma)


class ScoreModel(ScoreViews, nn.Module):
    """A network (x, label) -> (B, C', H, W) as the score of q(x_t) under `sde`.

    C' > C: only the first C channels make the score, so learned variances (ADM's six channels) are
    dropped as in the official code (functions/denoising.py); `outputs` has them. autocast:
    bfloat16 around the network where the hardware multiplies it, on CUDA and on CPUs with AMX.
    """

    conditional: bool = False  # whether `given` makes the score of a condition

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        prediction: Prediction = EpsPrediction(),  # noqa: B008 (frozen)
        *,
        autocast: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.sde = sde
        self.prediction = prediction
        self.autocast = autocast
        self.calls = 0

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """All channels that the network returns at x_t, (B, C', H, W)."""
        return self.evaluate(self.scaled(x, t), t)

    def scaled(self, x: Tensor, t: Tensor) -> Tensor:
        """x_t as the network sees it."""
        scale = self.prediction.scale(self.sde.alpha(t), self.sde.sigma(t))
        return (scale * x).to(x.dtype)

    def evaluate(self, image: Tensor, t: Tensor, *more: Tensor) -> Tensor:
        """The network at its input, the label of the time, and what else it is told."""
        self.calls += 1
        label = label_of(self.prediction.label(self.sde, t), image)
        with autocast_of(image, self.autocast):
            return self.net(image, label, *more).to(image.dtype)

    def forward(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        """The score at y, (B, C, H, W); source is ignored."""
        return self.score(y, t)


class Extractor(nn.Module):
    """A frozen time-dependent classifier: net(x, label) -> logits, net.features -> (B, F, h, w).

    Parameters stop requiring gradients and the network stays in evaluation mode. target: which of
    its classes translations are to be taken for, where it judges them.
    """

    target = -1

    def __init__(self, net: nn.Module, sde: SDE, *, autocast: bool = False) -> None:
        super().__init__()
        self.net = net.requires_grad_(False).eval()
        self.sde = sde
        self.autocast = autocast
        self.calls = 0

    def train(self, mode: bool = True) -> Extractor:
        return super().train(False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Logits (B, K) of the domain of x_t."""
        return self._evaluate(self.net, x, t)

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """Features (B, F, h, w) of x_t, before pooling."""
        return self._evaluate(self.net.features, x, t)

    def _evaluate(self, network: Any, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        with autocast_of(x, self.autocast):
            return network(x, label_of(self.sde.network_time(t), x)).to(x.dtype)
