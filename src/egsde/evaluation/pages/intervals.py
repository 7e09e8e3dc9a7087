"""95 % intervals of what is compared: means of paired differences, differences of numbers that
have intervals already, shares of answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from egsde.evaluation.intervals import LEVEL, of_difference


@dataclass(frozen=True)
class Interval:
    """A value between low and high; `significant` where they leave 0 out."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether 0 lies outside."""
        return self.low > 0 or self.high < 0


def paired(one: Sequence[float], other: Sequence[float]) -> Interval:
    """Mean of other - one over the same images, by the bootstrap over images; the same numbers give
    the same interval. Of a single image it is unknown: -inf to inf."""
    if (found := of_difference(other, one)) is not None:
        return Interval(*found)
    return Interval(float(other[0]) - float(one[0]), -math.inf, math.inf)


def apart(one: Interval, other: Interval) -> Interval:
    """other - one of two numbers as if they were independent: the halves of their intervals add as
    squares. Of the same sources and reference they are not, so the true interval is narrower."""
    value = other.value - one.value
    low = np.hypot(other.value - other.low, one.high - one.value)
    high = np.hypot(other.high - other.value, one.value - one.low)
    return Interval(value, float(value - low), float(value + high))


def share(hits: int, total: int, method: str = "wilson") -> Interval:
    """hits / total with the interval of Wilson (1927) or, method "exact", of Clopper and Pearson
    (1934)."""
    found = stats.binomtest(hits, total).proportion_ci(LEVEL, method)  # type: ignore[arg-type]
    return Interval(hits / total, float(found.low), float(found.high))
