"""Feature rows of the real images, and the numbers of translations' rows beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities.prints import rank_zero_warn

from egsde.evaluation.intervals import Interval
from egsde.evaluation.metrics.features import FeatureNetwork
from egsde.evaluation.metrics.sets import SetNumbers

Found = tuple[dict[str, float], dict[str, Interval]]


def _none() -> Tensor:
    return torch.empty(0, 0)


@dataclass(frozen=True)
class Reference:
    """target: rows FID compares with; source: of the untouched sources; real: of other real images.

    key: what the sets are called in the record. known: numbers of source and floor, which stay.
    """

    key: str | None = None
    target: Tensor = field(default_factory=_none)
    source: Tensor = field(default_factory=_none)
    real: Tensor = field(default_factory=_none)
    known: dict[Any, Found] = field(default_factory=dict, compare=False, repr=False)

    def numbers(self, y: Tensor, sets: SetNumbers, network: FeatureNetwork) -> Found:
        """Numbers of rows y (n, d), NAME_floor and NAME_source, and the intervals of all."""
        classes = getattr(network, "weight", None) is not None
        logits = getattr(network, "logits", None) if classes else None
        pairs = {
            "": (y, self.target),
            "_floor": self.floor(len(y)),
            "_source": (self.source, self.target),
        }
        metrics: dict[str, float] = {}
        within: dict[str, Interval] = {}
        for name, pair in pairs.items():
            if min(map(len, pair)) < 2:
                continue
            same = (name, len(pair[0]), sets)
            if not name or same not in self.known:
                self.known[same] = sets.of(*pair, logits=logits)
            found, drawn = self.known[same]
            metrics |= {f"{k}{name}": v for k, v in found.items() if k != "kid_se" or not name}
            within |= {f"{k}{name}": v for k, v in drawn.items()}
        return metrics, within

    def warn(self, n: int, d: int, sets: SetNumbers, network: FeatureNetwork) -> None:
        """Say what the numbers of n translations lack, and that FID of few is biased."""
        fewest = min(n, len(self.target))
        if sets.fid and fewest < d:
            rank_zero_warn(
                f"FID of {fewest} images with {d} features is biased upwards: compare it with "
                "fid_floor and fid_source of the same run, and read KID, which is not"
            )
        if sets.prc and fewest <= sets.k:
            rank_zero_warn(f"precision and recall left out: they need more than {sets.k} images")
        if sets.isc and getattr(network, "weight", None) is None:
            rank_zero_warn(
                "the Inception score is left out: the weights hold no layer of classes; "
                "torch-fidelity's own file does"
            )

    def floor(self, n: int) -> tuple[Tensor, Tensor]:
        """Two sets of real images: n others and the target, or the target's halves."""
        if len(self.real) > 0:
            return self.real[:n], self.target
        return self.target[::2], self.target[1::2]

    def describe(self, n: int, sets: SetNumbers) -> dict[str, object]:
        """For the protocol of n translations."""
        return {
            "reference": self.key,
            "n_reference": len(self.target),
            "n_source": len(self.source),
            "floor": "other real images" if len(self.real) else "halves of the reference",
            "n_floor": [len(rows) for rows in self.floor(n)],
            **sets.described(n, len(self.target)),
        }
