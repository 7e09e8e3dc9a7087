"""Scores of p(y | condition): networks that see a condition beside y (SR3, Palette).

The only place that joins the two: the condition's channels first, then the scaled y's, in training
and in sampling alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egsde.predictions import Eps, Prediction
from egsde.scores import ScoreModel, ScoreViews
from egsde.sde import SDE
from egsde.source import Source

View = Callable[[Source, Tensor], Tensor]  # (source, t) -> condition (B, C', H, W)


def clean(source: Source, t: Tensor) -> Tensor:
    """The source as it is: x_0."""
    return source.x0


def noised(source: Source, t: Tensor) -> Tensor:
    """The source at the noise level of y: x_t."""
    return source.at(t)


class ConditionalScore(ScoreModel):
    """A network (cat(condition, y), label) -> (B, C', H, W) as the score of q(y_t | condition).

    view: what of the source is the condition while sampling; in training `given` takes it.
    """

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        prediction: Prediction = Eps(),  # noqa: B008 (frozen)
        *,
        view: View = clean,
        autocast: bool = False,
    ) -> None:
        super().__init__(net, sde, prediction, autocast=autocast)
        self.view = view

    def given(self, condition: Tensor) -> Given:
        """The score for this condition: (y, t) -> like y, with all that objectives ask."""
        return Given(self, condition)

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        raise ValueError("a conditional score has no value without a condition: use given(...)")

    def forward(  # type: ignore[override]
        self, y: Tensor, t: Tensor, source: Source | None = None
    ) -> Tensor:
        """The score at y given the source, (B, C, H, W)."""
        if source is None:
            raise ValueError("a conditional score needs the source, got None")
        return self.given(self.view(source, t)).score(y, t)


@dataclass(frozen=True)
class Given(ScoreViews):
    """A conditional score and its condition (B, C', H, W): a score of y alone."""

    model: ConditionalScore
    condition: Tensor

    @property
    def sde(self) -> SDE:  # type: ignore[override]
        return self.model.sde

    @property
    def prediction(self) -> Prediction:  # type: ignore[override]
        return self.model.prediction

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """All channels that the network returns, (B, C', H, W)."""
        joined = torch.cat([self.condition.to(x.dtype), self.model.scaled(x, t)], dim=1)
        return self.model.evaluate(joined, t)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.score(x, t)
