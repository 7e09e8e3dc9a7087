"""Numbers of translations beside real images, each a set: FID, KID, precision, recall, ISC."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torchmetrics import Metric

from egsde.evaluation import intervals
from egsde.evaluation.intervals import Interval
from egsde.evaluation.metrics import distances
from egsde.evaluation.metrics.neighbours import K, precision_and_recall

Logits = Callable[[Tensor], Tensor]
SPLITS = 10  # of the Inception score


@dataclass(frozen=True)
class SetNumbers:
    """Which numbers of two sets of feature rows are taken, and whether with intervals.

    prc: precision and recall by the k-th neighbour. isc: the Inception score, of one set alone.
    subset: KID by torch-fidelity's subsets of so many images (1000), or of all that there are.
    """

    fid: bool = True
    kid: bool = True
    prc: bool = True
    isc: bool = False
    k: int = K
    subset: int | None = None
    intervals: bool = True

    @property
    def any(self) -> bool:
        """Whether anything is taken."""
        return self.fid or self.kid or self.prc or self.isc

    @property
    def names(self) -> list[str]:
        prc = ["precision", "recall"] if self.prc else []
        one = [name for name in ("fid", "kid", "isc") if getattr(self, name)]
        every = [f"{name}{of}" for name in (*one, *prc) for of in ("", "_floor", "_source")]
        return [*every, *(["kid_se"] if self.kid else [])]

    def of(
        self, made: Tensor, real: Tensor, logits: Logits | None = None
    ) -> tuple[dict[str, float], dict[str, Interval]]:
        """Numbers and their intervals of rows (n, d) and (m, d), each of two rows and more.

        Precision and recall are left out where a set has no k-th neighbour, ISC without the
        network's logits.
        """
        found: dict[str, float] = {}
        within: dict[str, Interval] = {}
        if self.fid:
            found["fid"] = distances.frechet(made, real)
        if self.kid:
            found["kid"], found["kid_se"] = distances.kid(made, real, subset=self.subset)
        if self.intervals:
            within |= intervals.of_sets(made, real, found)
        if self.intervals and self.kid and "kid" not in within:
            reach = 1.96 * found["kid_se"]
            within["kid"] = found["kid"] - reach, found["kid"] + reach
        if self.prc and min(len(made), len(real)) > self.k:
            shares = precision_and_recall(made, real, self.k)
            for name, inside in zip(("precision", "recall"), shares, strict=True):
                found[name] = float(inside.mean())
                reach_of = intervals.of_mean(inside.numpy()) if self.intervals else None
                within |= {name: reach_of} if reach_of else {}
        if self.isc and logits is not None:
            found["isc"] = inception_score(classes := logits(made))
            if self.intervals:
                within["isc"] = intervals.of_score(classes, found["isc"])
        return found, within

    def described(self, n: int, m: int) -> dict[str, object]:
        """How the numbers of sets of n and m images are defined, for a protocol."""
        found: dict[str, object] = {"kid": distances.kid_definition(n, m, subset=self.subset)}
        if self.prc:
            found["precision_recall"] = f"k = {self.k} nearest neighbours of the same features"
        if self.isc:
            found["isc"] = f"{min(SPLITS, n)} splits"
        return found


def inception_score(logits: Tensor) -> float:
    """exp of the mean KL of p(class | image) to p(class) (Salimans 2016), by torch-fidelity."""
    splits = min(SPLITS, len(logits))
    return isc_features_to_metric(logits, splits=splits)[KEY_METRIC_ISC_MEAN]


class OfSets(Metric):
    """A number of two sets of images as a torchmetrics.Metric, over all images of all processes.

    features: uint8 (B, 3, H, W) -> (B, d). of: rows (n, d) and (m, d) -> a number, such as
    `distances.frechet`. `update(images, real=True)` adds to the reference.
    """

    full_state_update = False

    def __init__(
        self,
        features: Callable[[Tensor], Tensor],
        of: Callable[[Tensor, Tensor], Any] = distances.frechet,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.features, self.of = features, of
        for name in ("made", "real"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool = False) -> None:
        getattr(self, "real" if real else "made").append(self.features(images))

    def compute(self) -> Tensor:
        made, real = (_joined(getattr(self, name)) for name in ("made", "real"))
        if min(len(made), len(real)) < 2:
            return torch.tensor(math.nan)
        value = self.of(made, real)
        return torch.tensor(value[0] if isinstance(value, tuple) else value)


def _joined(rows: Any) -> Tensor:
    if isinstance(rows, Tensor):
        return rows
    return torch.cat(rows) if rows else torch.empty(0, 0)
