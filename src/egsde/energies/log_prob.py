"""Classifier guidance: E = -log p_t(label | y) (Dhariwal 2021), for any solver."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.energies.base import Energy
from egsde.scores import Extractor
from egsde.source import Source


@dataclass(frozen=True, eq=False)
class LogProb(Energy):
    """E = -log softmax(logits(y, t))[label]; (B,) in nats, at least 0.

    label: the wanted class; the target domain is the last one. The source is not used.
    ValueError for a label that the classifier does not have."""

    extractor: Extractor
    label: int = -1

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        log_p = self.extractor(y, t).log_softmax(1)
        classes = log_p.shape[1]
        if not -classes <= self.label < classes:
            raise ValueError(
                f"label {self.label} is no class of a classifier of {classes}; use 0 to "
                f"{classes - 1}, or -1 for the last, the target"
            )
        return -log_p[:, self.label]
