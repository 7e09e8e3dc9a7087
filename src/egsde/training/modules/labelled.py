"""One score for several domains, told apart by a label (class-conditional diffusion)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from egsde.scores.labels import LabelledScore
from egsde.training.modules.score import ScoreModule


class LabelledModule(ScoreModule):
    """Trains a LabelledScore on the batch's "image" (B, C, H, W) and "label" (B,).

    drop: the share of images that is shown without their label, as the network's last one
    (classifier-free guidance, Ho and Salimans 2022; 0.1 to 0.2 there). ValueError outside [0, 1).
    """

    def __init__(self, score: LabelledScore, *args: Any, drop: float = 0.1, **options: Any) -> None:
        if not 0 <= drop < 1:
            raise ValueError(f"drop={drop} is no share of the images; use one in [0, 1)")
        super().__init__(score, *args, **options)
        self.drop = drop

    @property
    def averaged(self) -> Any:
        """The target's score with the averaged weights."""
        return self._averaged.given(self._averaged.labels - 1 - bool(self.drop))

    @property
    def averaged_source(self) -> Any:
        """The source's."""
        return self._averaged.given(0)

    @property
    def _averaged(self) -> LabelledScore:
        view: Any = self.with_averaged_net(self.score)
        return view

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.loss(*self.problem(self._averaged, batch), "val")

    def problem(self, score: LabelledScore, batch: dict[str, Any]) -> tuple[Any, Tensor]:
        image, label = self.latent(batch["image"]), batch["label"]
        dropped = self.draws.uniform(image).flatten() < self.drop
        label = torch.where(dropped, score.labels - 1, label) if self.drop else label
        return score.given(label), image
