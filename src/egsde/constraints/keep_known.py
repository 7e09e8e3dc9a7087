"""Known pixels follow the source: mask x_t + (1 - mask) y (SDEdit, RePaint, Score-SDE)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.constraints.reference import Reference, new_time
from egsde.source import Source


@dataclass(frozen=True)
class KeepKnown:
    """source.cond["mask"]: (B, 1 or C, H, W), 1 = keep; `reference`: the time of x_t.

    ValueError when the mask is absent or of another size.
    """

    reference: Reference = new_time

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        if "mask" not in source.cond:
            raise ValueError(
                f"KeepKnown needs a mask (1 = keep), got the conditions {sorted(source.cond)}; "
                "give the dataset one with data.mask=PATH or call the translator with mask=..."
            )
        mask = source.cond["mask"].to(y)
        if mask.ndim != 4 or mask.shape[-2:] != y.shape[-2:] or mask.shape[1] not in (1, len(y[0])):
            raise ValueError(
                f"a mask of shape {tuple(mask.shape)} does not fit images of shape "
                f"{tuple(y.shape)}; give (B, 1 or {y.shape[1]}, {y.shape[2]}, {y.shape[3]})"
            )
        return mask * source.at(self.reference(source, t)) + (1 - mask) * y
