"""Numbers of single images: of translations beside their sources and truths, and of them alone.

Each number has NAME_source, of the untouched sources in place of translations, NAME_floor, of real
target images in that place (the truth where there is one), and those of the truth NAME_truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torchmetrics import Metric

from egsde.evaluation.metrics import pairwise as pairs
from egsde.evaluation.metrics.features import as_bytes
from egsde.evaluation.metrics.per_image import Distance, PerImage, per_image
from egsde.evaluation.metrics.protocol import EvaluationProtocol

Pairwise = Mapping[str, Distance | Metric | None]
Single = Mapping[str, Callable[[Tensor], Tensor] | Metric | None]
Values = dict[str, Tensor]

USUAL: Pairwise = {"l2": pairs.l2, "psnr": pairs.psnr, "ssim": pairs.ssim}
WAYS = ("", "_source", "_floor", "_truth")


@dataclass(frozen=True)
class ImageNumbers:
    """pairwise: of images (y, x), as `protocol` compares them; single: of y alone, uint8."""

    pairwise: Mapping[str, PerImage]
    single: Mapping[str, PerImage]
    protocol: EvaluationProtocol

    @property
    def names(self) -> list[str]:
        """What `of` and `stand_in` may find."""
        each = [f"{name}{of}" for name in (*self.pairwise, *self.single) for of in WAYS]
        truth = [f"{name}_truth_source" for name in self.pairwise]
        return [*each, *truth, *(["nearer"] if "l2" in self.pairwise else [])]

    def of(self, y: Tensor, x0: Tensor | None, truth: Tensor | None) -> Values:
        """Every number of translations y, each (B,). ValueError where one has another shape."""
        values = self.alone(y, "")
        if x0 is not None:
            values = self.pair(y, x0, "") | values | self.stand_in(x0, x0, "_source")
        if truth is not None:
            values |= self.pair(y, truth, "_truth")
            values |= self.alone(truth, "_truth")
        if truth is not None and x0 is not None:
            values |= self.pair(x0, truth, "_truth_source")
            values |= self.stand_in(truth, x0, "_floor")
        if "l2_truth_source" in values:
            values["nearer"] = (values["l2_truth"] < values["l2_truth_source"]).double()
        return values

    def stand_in(self, y: Tensor, x0: Tensor, suffix: str) -> Values:
        """Every number of images that stand in place of the translations of x0."""
        return self.pair(y, x0, suffix) | self.alone(y, suffix)

    def alone(self, y: Tensor, suffix: str) -> Values:
        """Numbers of single images."""
        return {f"{k}{suffix}": f.each(as_bytes(y)) for k, f in self.single.items()}

    def pair(self, y: Tensor, x: Tensor, suffix: str) -> Values:
        """Numbers of pairs. ValueError where one has another shape than (B,)."""
        y, x = self.protocol.for_pairs(y), self.protocol.for_pairs(x)
        values = {}
        for name, distance in self.pairwise.items():
            found = distance.each(y, x)
            if found.shape != (len(y),):
                raise ValueError(
                    f"metrics.pairwise.{name} returned shape {tuple(found.shape)} for {len(y)} "
                    "images; it has to give one number for each, (B,)"
                )
            values[name + suffix] = found
        return values


def image_numbers(
    pairwise: Pairwise | None, single: Single | None, protocol: EvaluationProtocol
) -> ImageNumbers:
    """Functions and metrics by their names, those that are None left out; None: the usual ones."""
    given = USUAL if pairwise is None else pairwise
    return ImageNumbers(
        {k: per_image(v) for k, v in given.items() if v is not None},
        {k: per_image(v) for k, v in (single or {}).items() if v is not None},
        protocol,
    )
