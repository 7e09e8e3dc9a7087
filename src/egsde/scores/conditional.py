"""Scores of p(y | condition): networks that see a condition beside y (SR3, Palette).

The only place that joins the two: the condition's channels first, then the scaled y's, in training
and in sampling alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egsde.linear.operators import known_pixels
from egsde.scores.model import ScoreModel, ScoreViews
from egsde.scores.predictions import EpsPrediction, Prediction
from egsde.sde import SDE
from egsde.source import Source


class ConditionalScore(ScoreModel):
    """A network (cat(condition, y), label) -> (B, C', H, W) as the score of q(y_t | condition).

    noised: while sampling the condition is the source at the noise level of y, x_t, not x_0; in
    training `given` takes it.
    masked: pixels where cond mask is 1 are known (Palette): the network sees them as they are.
    """

    conditional = True

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        prediction: Prediction = EpsPrediction(),  # noqa: B008 (frozen)
        *,
        noised: bool = False,
        masked: bool = False,
        autocast: bool = False,
    ) -> None:
        super().__init__(net, sde, prediction, autocast=autocast)
        self.noised, self.masked = noised, masked
        self.reads = ("mask",) if masked else ("neighbours",)

    def given(self, condition: Tensor, known: Tensor | None = None) -> ConditionedScore:
        """The score for this condition: (y, t) -> like y, with all that objectives ask.

        known, (B, 1 or C, H, W): 1 where the condition shows y_0 itself.
        """
        return ConditionedScore(self, condition, known)

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """ValueError always: without a condition there is no value."""
        raise ValueError("a conditional score has no value without a condition: use given(...)")

    def forward(  # type: ignore[override]
        self, y: Tensor, t: Tensor, source: Source | None = None
    ) -> Tensor:
        """The score at y given the source, (B, C, H, W). ValueError without one."""
        if source is None:
            raise ValueError("a conditional score needs the source, got None")
        known = known_pixels(source.cond.get("mask"), y) if self.masked else None
        condition = source.at(t) if self.noised else source.x0
        if (beside := source.cond.get("neighbours")) is not None:  # slices beside it
            condition = torch.cat([condition, beside.to(condition)], dim=1)
        return self.given(condition, known).score(y, t)


@dataclass(frozen=True)
class ConditionedScore(ScoreViews):
    """A conditional score and its condition (B, C', H, W): a score of y alone.

    Known pixels go to the network as the condition has them, and their score is that of a certain
    y_0: (alpha y_0 - y) / sigma^2.
    """

    model: ConditionalScore
    condition: Tensor
    known: Tensor | None = None

    @property
    def sde(self) -> SDE:  # type: ignore[override]
        return self.model.sde

    @property
    def prediction(self) -> Prediction:  # type: ignore[override]
        return self.model.prediction

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """All channels that the network returns, (B, C', H, W)."""
        condition, image = self.condition.to(x.dtype), self.model.scaled(x, t)
        if self.known is not None:
            image = torch.where(self.known > 0, condition, image)
        return self.model.evaluate(torch.cat([condition, image], dim=1), t)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """The score at x_t, (B, C, H, W)."""
        score = super().score(x, t)
        if self.known is None:
            return score
        certain = self.sde.score_of(self.condition, x, t)
        return torch.where(self.known > 0, certain.to(score.dtype), score)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.score(x, t)
