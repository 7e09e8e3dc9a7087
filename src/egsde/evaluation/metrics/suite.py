"""All numbers of one evaluation: `start`, `update` with each batch, then `compute` once.

Per-image values and feature rows stay with the process that made them and are gathered once,
sorted by image id, and only then averaged in float64: the result is the same for any order, batch
size and number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.prints import rank_zero_warn

from egsde.evaluation.metrics import distances
from egsde.evaluation.metrics import pairwise as pairs
from egsde.evaluation.metrics.features import COLOURS, Features, Gather, alone, as_bytes
from egsde.evaluation.metrics.inception import Inception, find_inception
from egsde.evaluation.metrics.one_by_one import Distance, one_by_one
from egsde.evaluation.metrics.protocol import EvaluationProtocol

Pairwise = Mapping[str, Distance | Metric]
Single = Mapping[str, Callable[[Tensor], Tensor]]


class Suite:
    """FID and KID to real target images, pairwise distances to the source and to any truth.

    `pairwise`: name -> function (y, x) -> (B,) of images in [0, 1], or a torchmetrics.Metric,
    whose value is taken of one pair at a time. `single`: name -> function y -> (B,) of the
    translations alone, uint8; `name_truth` is that of the truth. `extractor`: returns the feature
    network or None, asked once, at `start`; None leaves FID and KID out. A plain object: nothing
    of it belongs into a checkpoint.
    """

    def __init__(
        self,
        protocol: EvaluationProtocol | None = None,
        pairwise: Pairwise | None = None,
        *,
        single: Single | None = None,
        fid: bool = True,
        kid: bool = True,
        extractor: Callable[[], Inception | None] = find_inception,
        cache: str | Path | None = None,
    ) -> None:
        self.protocol = protocol or EvaluationProtocol()
        usual = {"l2": pairs.l2, "psnr": pairs.psnr, "ssim": pairs.ssim}
        given = usual if pairwise is None else pairwise
        self.pairwise = {name: one_by_one(distance) for name, distance in given.items()}
        self.single = dict(single or {})
        self.fid, self.kid = fid, kid
        self.extractor = extractor
        self.cache = Path(cache).expanduser() if cache else None
        self.features: Features | None = None
        self._asked = self._warned = False
        self._key: str | None = None
        self._target = self._source = self._real = torch.empty(0, 0)
        self._images: list[dict] = []
        self._rows: list[np.ndarray] = []

    @property
    def names(self) -> list[str]:
        """What `compute` may find."""
        distances = [("fid", self.fid), ("kid", self.kid)]
        sets = [f"{d}{of}" for d, on in distances if on for of in ("", "_floor", "_source")]
        each = [f"{name}{of}" for name in (*self.pairwise, *self.single) for of in ("", "_truth")]
        return [*sets, *(["kid_se"] if self.kid else []), *each]

    def check(self, size: int | Sequence[int], channels: int = 3) -> None:
        """ValueError where a distance cannot be had of images of this size: before the work.

        FID and KID of other channels than one, which is repeated, or three are left out.
        """
        shape = (1, channels, *([size, size] if isinstance(size, int) else size))
        images = torch.arange(math.prod(shape)).remainder(256).to(torch.uint8).view(shape)
        self._pairwise(images, images, "")
        if channels not in COLOURS and (self.fid or self.kid):
            self.fid = self.kid = False
            rank_zero_warn(
                f"FID and KID left out: images have {channels} channels, and the network that they "
                "are taken with sees one, repeated, or three"
            )

    def start(self, device: torch.device | str = "cpu") -> None:
        """Forget the images counted so far; the reference stays. Finds the network once."""
        self._images, self._rows = [], []
        device = torch.device(device)
        if (self.fid or self.kid) and not self._asked:
            self._asked = True
            network = self.extractor()
            if network is not None:
                self.features = Features(network.to(device), self.protocol.resize, device)

    def has_reference(self, key: str) -> bool:
        """Whether `set_reference` may be left out: the set is there, or nothing asks for one."""
        return self._key == key or not (self.fid or self.kid)

    def set_reference(
        self,
        target: Iterable[Tensor],
        source: Iterable[Tensor] = (),
        key: str = "reference",
        floor: Iterable[Tensor] = (),
        gather: Gather = alone,
        collect: Gather | None = None,
    ) -> None:
        """The real target images FID compares with; the source images, for `fid_source`.

        `floor`: real target images of another split, at least as many as are translated, so that
        `fid_floor` has the counts and hence the bias of `fid`; without them it is the FID of the
        reference's two halves, which is higher. All are iterables of uint8 (B, 3, H, W), read
        only when needed. `key` names the sets in the cache folder (data set, split, size).
        Without `gather` every process passes whole sets, with it its own part. `collect`: the rows
        of all processes where they are measured, nothing elsewhere; by default `gather`.
        """
        if self.has_reference(key):
            return
        self._key = key
        if not all(gather(self.features is not None)):
            self.features = None
        if self.features is None:
            return
        rows = partial(self.features.of_set, cache=self.cache, gather=collect or gather)
        self._target, self._source = rows(target, f"{key}-target"), rows(source, f"{key}-source")
        self._real = rows(floor, f"{key}-floor")

    def update(
        self, ids: Sequence[str], y: Tensor, x0: Tensor, truth: Tensor | None = None
    ) -> list[dict]:
        """Add translations y of sources x0, as in the file: uint8 (B, C, H, W), or float in [-1, 1]
        where it holds more; values per image."""
        values = self._pairwise(y, x0, "") | {k: f(as_bytes(y)) for k, f in self.single.items()}
        values |= {f"{k}_source": f(as_bytes(x0)) for k, f in self.single.items()}
        if truth is not None:
            values |= self._pairwise(y, truth, "_truth")
            values |= self._pairwise(x0, truth, "_truth_source")
            values |= {f"{k}_truth": f(as_bytes(truth)) for k, f in self.single.items()}
        images = [
            {"id": str(name), **{k: float(v[b]) for k, v in values.items()}}
            for b, name in enumerate(ids)
        ]
        self._images += images
        if self.features is not None:
            self._rows += list(self.features(as_bytes(y)).numpy())
        return images

    def compute(self, gather: Gather = alone) -> dict:
        """`metrics` (name -> mean), `per_image` rows in the order of ids, and their `protocol`.

        Every process must call it; `gather` is called once and gives the parts of all processes,
        or none where nothing is to be measured. Numbers that cannot be had are absent. Raises
        ValueError when an image was counted twice.
        """
        parts = gather((self._images, self._rows))
        images = [image for part, _ in parts for image in part]
        order = sorted(range(len(images)), key=lambda i: images[i]["id"])
        images = [images[i] for i in order]
        for one, other in zip(images, images[1:], strict=False):
            if one["id"] == other["id"]:
                raise ValueError(
                    f"image {one['id']!r} was counted twice; shards must not be padded or overlap"
                )
        metrics = {}
        for name in dict.fromkeys(k for image in images for k in image if k != "id"):
            metrics[name] = math.fsum(v := [i[name] for i in images if name in i]) / len(v)
        protocol = {**self.protocol.describe(), "n_images": len(images)}
        rows = [row for _, part in parts for row in part]
        if self.features is not None and len(rows) == len(images) > 0:
            y = torch.from_numpy(np.stack([rows[i] for i in order]))
            metrics = {**self._distances(y), **metrics}
            protocol |= self._describe_features(len(y))
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            rank_zero_warn(f"left out because they are not finite: {', '.join(bad)}")
        metrics = {name: value for name, value in metrics.items() if name not in bad}
        return {"metrics": metrics, "per_image": images, "protocol": protocol}

    def _pairwise(self, y: Tensor, x: Tensor, suffix: str) -> dict[str, Tensor]:
        y, x = self.protocol.for_pairs(y), self.protocol.for_pairs(x)
        values = {}
        for name, distance in self.pairwise.items():
            found = distance(y, x)
            if found.shape != (len(y),):
                raise ValueError(
                    f"metrics.pairwise.{name} returned shape {tuple(found.shape)} for {len(y)} "
                    "images; it has to give one number for each, (B,)"
                )
            values[name + suffix] = found
        return values

    def _distances(self, y: Tensor) -> dict[str, float]:
        target, source = self._target, self._source
        if min(len(y), len(target)) < 2:
            rank_zero_warn(
                f"FID and KID left out: {len(y)} translations, {len(target)} reference images; "
                "set_reference must come before compute, with at least two images each"
            )
            return {}
        sets = {"": (y, target), "_floor": self._floor(len(y)), "_source": (source, target)}
        sets = {name: pair for name, pair in sets.items() if min(map(len, pair)) >= 2}
        metrics: dict[str, float] = {}
        if self.fid:
            metrics |= {f"fid{name}": distances.frechet(*pair) for name, pair in sets.items()}
            if (fewest := min(len(y), len(target))) < y.shape[1]:
                self._warn_biased(fewest, y.shape[1])
        if self.kid:
            values = {name: distances.kid(*pair) for name, pair in sets.items()}
            metrics |= {f"kid{name}": value for name, (value, _) in values.items()}
            metrics["kid_se"] = values[""][1]
        return metrics

    def _floor(self, n: int) -> tuple[Tensor, Tensor]:
        if len(self._real) > 0:
            return self._real[:n], self._target
        return self._target[::2], self._target[1::2]

    def _warn_biased(self, n: int, d: int) -> None:
        if not self._warned:
            rank_zero_warn(
                f"FID of {n} images with {d} features is biased upwards: compare it with fid_floor "
                "and fid_source of the same run, and read KID, which is not"
            )
        self._warned = True

    def _describe_features(self, n: int) -> dict[str, object]:
        assert self.features is not None
        other = len(self._real) > 0
        return {
            **self.features.network.describe(),
            "reference": self._key,
            "n_reference": len(self._target),
            "n_source": len(self._source),
            "floor": "other real images" if other else "halves of the reference",
            "n_floor": [len(rows) for rows in self._floor(n)],
            "kid": distances.kid_definition(n, len(self._target)),
        }
