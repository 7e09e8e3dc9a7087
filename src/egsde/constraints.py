"""Constraints (y, t, source) -> like y: what is imposed on the state after each step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from egsde.source import Source


@dataclass(frozen=True)
class KeepKnown:
    """Known pixels follow the source: mask x_t + (1 - mask) y (SDEdit's masked loop, Meng 2022).

    source.cond["mask"]: (B, 1 or C, H, W), 1 = keep. ValueError when it is absent.
    """

    def __call__(self, y: Tensor, t: Tensor, source: Source) -> Tensor:
        if "mask" not in source.cond:
            raise ValueError(
                f"KeepKnown needs a mask (1 = keep), got the conditions {sorted(source.cond)}; "
                "use a dataset with masks or call the translator with mask=..."
            )
        mask = source.cond["mask"].to(y)
        return mask * source.at(t) + (1 - mask) * y
