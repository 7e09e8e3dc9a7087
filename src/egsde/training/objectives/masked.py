"""The error of the pixels that are not known: E ||(1 - known)(target - net)||_p^p per such pixel.

Palette (Saharia 2022, arXiv 2111.05826, section 3) restores hidden pixels and learns from these.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.scores import ScoreViews


@dataclass(frozen=True)
class Masked:
    """Mean of |error|^norm over an image's unknown elements; with nothing known that of all.

    norm 2 (Palette) draws more varied samples than norm 1 (SR3's choice; Palette, section 4.1).
    An image of which all is known has loss 0. ValueError for another norm.
    """

    norm: int = 2

    def __post_init__(self) -> None:
        if self.norm not in (1, 2):
            raise ValueError(f"Masked needs norm 1 or 2, got {self.norm}")

    def __call__(self, score: ScoreViews, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        sde = score.sde
        target = score.prediction.target(x0, eps, sde.alpha(t), sde.sigma(t)).to(x0.dtype)
        error = (score.output(sde.perturb(x0, t, eps), t) - target).abs().pow(self.norm)
        if score.known is None:
            return error.flatten(1).mean(1)
        unknown = (1 - score.known.to(error)).expand_as(error)
        counts = unknown.flatten(1).sum(1).clamp(min=1)
        return (unknown * error).flatten(1).sum(1) / counts
