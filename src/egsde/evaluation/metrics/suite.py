"""All numbers of one evaluation: `start`, `update` with each batch, then `compute` once.

Per-image values and feature rows stay with the process that made them and are gathered once,
sorted by image id, and only then averaged in float64: the result is the same for any order, batch
size and number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities.prints import rank_zero_warn

from egsde.evaluation.intervals import Interval, described, means_of
from egsde.evaluation.metrics.features import COLOURS, Features, Gather, alone, as_bytes
from egsde.evaluation.metrics.image_numbers import Pairwise, Single, image_numbers
from egsde.evaluation.metrics.inception import Inception, find_inception
from egsde.evaluation.metrics.protocol import EvaluationProtocol
from egsde.evaluation.metrics.reference import Reference
from egsde.evaluation.metrics.sets import SetNumbers


class Suite:
    """Numbers of translations beside real target images, to the source and to any truth.

    `pairwise`: name -> function (y, x) -> (B,) of images in [0, 1], or a torchmetrics.Metric,
    whose value is taken of one pair at a time. `single`: name -> function y -> (B,) of the
    translations alone, uint8. NAME_source, NAME_floor and NAME_truth: see image_numbers.py.
    `sets`: what is taken of feature rows, FID and so on.
    `extractor`: returns the feature network or None, asked once, at `start`; None leaves the
    numbers of sets out. A plain object: nothing of it belongs into a checkpoint.
    """

    def __init__(
        self,
        protocol: EvaluationProtocol | None = None,
        pairwise: Pairwise | None = None,
        *,
        single: Single | None = None,
        fid: bool = True,
        kid: bool = True,
        prc: bool = True,
        isc: bool = False,
        kid_subset: int | None = None,
        intervals: bool = True,
        extractor: Callable[[], Inception | None] = find_inception,
        cache: str | Path | None = None,
    ) -> None:
        self.protocol = protocol or EvaluationProtocol()
        self.each = image_numbers(pairwise, single, self.protocol)
        self.sets = SetNumbers(fid, kid, prc, isc, subset=kid_subset, intervals=intervals)
        self.intervals, self.extractor = intervals, extractor
        self.cache = Path(cache).expanduser() if cache else None
        self.features: Features | None = None
        self._asked = self._warned = False
        self.reference = Reference()
        self._images: list[dict] = []
        self._rows: list[np.ndarray] = []
        self._floors: list[dict[str, float]] = []

    @property
    def names(self) -> list[str]:
        """What `compute` may find."""
        return [*self.sets.names, *self.each.names]

    def check(self, size: int | Sequence[int], channels: int = 3) -> None:
        """ValueError where a distance cannot be had of images of this size: before the work."""
        shape = (1, channels, *([size, size] if isinstance(size, int) else size))
        images = torch.arange(math.prod(shape)).remainder(256).to(torch.uint8).view(shape)
        self.each.pair(images, images, "")
        self.check_channels(channels)

    def check_channels(self, channels: int) -> None:
        """FID and KID of other channels than one, which is repeated, or three are left out."""
        if channels not in COLOURS and self.sets.any:
            self.sets = replace(self.sets, fid=False, kid=False, prc=False, isc=False)
            rank_zero_warn(
                f"FID and KID left out: images have {channels} channels, and the network that they "
                "are taken with sees one, repeated, or three"
            )

    def start(self, device: torch.device | str = "cpu") -> None:
        """Forget the images counted so far; the reference stays. Finds the network once."""
        self._images, self._rows, self._floors = [], [], []
        device = torch.device(device)
        if self.sets.any and not self._asked:
            self._asked = True
            network = self.extractor()
            if network is not None:
                self.features = Features(network.to(device), self.protocol.resize, device)

    def has_reference(self, key: str) -> bool:
        """Whether `set_reference` may be left out: the set is there, or nothing asks for one."""
        return self.reference.key == key or not self.sets.any

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
        self.reference = Reference(key)
        if not all(gather(self.features is not None)):
            self.features = None
        if self.features is None:
            return
        given = self.sets.subset is not None  # torch-fidelity draws by the order of the files
        options = {"cache": self.cache, "gather": collect or gather, "as_given": given}
        rows: Any = partial(self.features.of_set, **options)  # type: ignore[arg-type]
        named = (("target", target), ("source", source), ("floor", floor))
        self.reference = Reference(key, *(rows(images, f"{key}-{n}") for n, images in named))

    def update(
        self, ids: Sequence[str], y: Tensor, x0: Tensor | None = None, truth: Tensor | None = None
    ) -> list[dict]:
        """Add translations y of sources x0, as in the file: uint8 (B, C, H, W), or float in [-1, 1]
        where it holds more; values per image."""
        values = self.each.of(y, x0, truth)
        images = [
            {"id": str(name), **{k: float(v[b]) for k, v in values.items()}}
            for b, name in enumerate(ids)
        ]
        self._images += images
        if self.features is not None:
            self._rows += list(self.features(as_bytes(y)).numpy())
        return images

    def add_floor(self, real: Tensor, x0: Tensor | None = None) -> None:
        """NAME_floor: real target images in place of translations of x0, for lack of a truth."""
        if x0 is None or x0.shape != real.shape:
            values = self.each.alone(real, "_floor")
        else:
            values = self.each.stand_in(real, x0, "_floor")
        self._floors += [{k: float(v[b]) for k, v in values.items()} for b in range(len(real))]

    def compute(self, gather: Gather = alone) -> dict:
        """`metrics` (name -> mean), their `intervals` where they are taken, `per_image` rows in
        the order of ids, and their `protocol`.

        Every process must call it; `gather` is called once and gives the parts of all processes,
        or none where nothing is to be measured. Numbers that cannot be had are absent. Raises
        ValueError when an image was counted twice.
        """
        parts = gather((self._images, self._rows, self._floors))
        images = [image for part, *_ in parts for image in part]
        order = sorted(range(len(images)), key=lambda i: images[i]["id"])
        images = [images[i] for i in order]
        for one, other in zip(images, images[1:], strict=False):
            if one["id"] == other["id"]:
                raise ValueError(
                    f"image {one['id']!r} was counted twice; shards must not be padded or overlap"
                )
        metrics, within = means_of(images, self.intervals)
        floors = sorted((f for *_, part in parts for f in part), key=lambda f: [*f.values()])
        means, around = means_of(floors, self.intervals)
        metrics, within = metrics | means, within | around
        protocol = {**self.protocol.describe(), "n_images": len(images)}
        rows = [row for _, part, _ in parts for row in part]
        if self.features is not None and len(rows) == len(images) > 0:
            y = torch.from_numpy(np.stack([rows[i] for i in order]))
            found, drawn = self._of_sets(y)
            metrics, within = {**found, **metrics}, {**drawn, **within}
            protocol |= self.features.network.describe()
            protocol |= self.reference.describe(len(y), self.sets)
        if self.intervals and images:
            protocol["intervals"] = described(len(images), len(self.reference.target))
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if told := [name for name in bad if not name.endswith("_source")]:
            rank_zero_warn(f"left out because they are not finite: {', '.join(told)}")
        metrics = {name: value for name, value in metrics.items() if name not in bad}
        within = {name: within[name] for name in metrics if name in within}
        return {"metrics": metrics, "intervals": within, "per_image": images, "protocol": protocol}

    def _of_sets(self, y: Tensor) -> tuple[dict[str, float], dict[str, Interval]]:
        if min(len(y), len(self.reference.target)) < 2:
            rank_zero_warn(
                f"FID and KID left out: {len(y)} translations, {len(self.reference.target)} "
                "reference images; set_reference must come before compute, with at least two "
                "images each"
            )
            return {}, {}
        assert self.features is not None
        network = self.features.network
        if not self._warned:
            self.reference.warn(len(y), y.shape[1], self.sets, network)
        self._warned = True
        return self.reference.numbers(y, self.sets, network)
