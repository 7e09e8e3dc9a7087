"""Scores of networks that are told a label: one network for several domains or classes.

The label is a domain's place in [source, extra ..., target], as in the classifier; one more, the
last, is no label at all, which training shows for a share of its images (Ho and Salimans 2022).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from egsde.scores.model import ScoreModel
from egsde.scores.predictions import Prediction
from egsde.scores.process import Score, one_process
from egsde.sde import SDE


class LabelledScore(ScoreModel):
    """A network (x, time label, class label) -> (B, C', H, W): the score of q(x_t | label)."""

    label: int | Tensor | None = None

    @property
    def labels(self) -> int:
        """How many labels the network knows; the last is none where it was trained so."""
        net: Any = self.net
        return net.label_emb.num_embeddings

    def given(self, label: int | Tensor) -> LabelledScore:
        """The score for one label, or for one of each image (B,); ValueError if unknown."""
        if isinstance(label, int) and not 0 <= label < self.labels:
            raise ValueError(f"label={label} is none of the network's 0 .. {self.labels - 1}")
        view = copy.copy(self)
        view.label = label
        return view

    def outputs(self, x: Tensor, t: Tensor) -> Tensor:
        """All channels that the network returns at x_t for the label, (B, C', H, W). ValueError
        without one."""
        if self.label is None:
            raise ValueError("a score with labels has no value without one: use given(label)")
        one = torch.as_tensor(self.label, device=x.device)
        label = one + torch.zeros_like(x[:, 0, 0, 0], dtype=torch.long)  # traced, too
        return self.evaluate(self.scaled(x, t), t, label)


def of_class(
    net: nn.Module,
    sde: SDE,
    prediction: Prediction,
    label: int | None,
    where: str,
    autocast: bool = False,
) -> ScoreModel:
    """The score of a foreign network that may know classes, for one of them. where: its file.
    ValueError where a label is missing, or there are none."""
    if getattr(net, "label_emb", None) is None:
        if label is not None:
            raise ValueError(f"score.label={label}: the network of {where} has no labels")
        return ScoreModel(net, sde, prediction, autocast=autocast)
    score = LabelledScore(net, sde, prediction, autocast=autocast)
    if label is None:
        raise ValueError(
            f"{where} is class-conditional: say which class to make, score.label=0 .. "
            f"{score.labels - 1}"
        )
    return score.given(label)


@dataclass(frozen=True)
class Extrapolated:
    """weaker + scale (score - weaker): away from what a weaker score would do.

    Classifier-free guidance where the weaker one knows no label (Ho and Salimans 2022, their
    w = scale - 1), autoguidance where it is a smaller or less trained network (Karras 2024). A
    scale of 1 is the score itself, and asks the weaker one nothing.
    """

    score: Score
    weaker: Score
    scale: float = 2.0

    @property
    def sde(self) -> SDE:
        return one_process(self.score, self.weaker)

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        strong = self.score(y, t, source)
        if self.scale == 1:
            return strong
        return torch.lerp(self.weaker(y, t, source), strong, self.scale)
