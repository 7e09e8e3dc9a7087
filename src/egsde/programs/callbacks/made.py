"""Counts of a translation run: images, seconds, evaluations; and what is said at its end."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor

LOST = 10.0  # images are in [-1, 1]; what is this far outside is no image any more


class Tally:
    """Counts the images made on this rank, the seconds, and each network's evaluations of them."""

    def __init__(self, networks: Mapping[str, Any]) -> None:
        self.networks = networks
        self.images, self.seconds, self.lost, self.known = 0, 0.0, 0, 0
        self.calls = dict.fromkeys(networks, 0)
        self.stale: list[str] = []  # images whose file was not what this run makes
        self.deep = False  # whether a translation has more than 8 bits

    @contextmanager
    def count(self, images: int) -> Iterator[dict[str, int]]:
        """Time the making of these images; what is yielded then holds their evaluations."""
        nfe: dict[str, int] = {}
        with self._counted() as calls:
            before, began = calls(), time.perf_counter()
            yield nfe
            self.seconds += time.perf_counter() - began
            self.images += images
            nfe |= {name: after - before[name] for name, after in calls().items()}
        self.add(images, nfe)

    @contextmanager
    def _counted(self) -> Iterator[Callable[[], dict[str, int]]]:
        """Each network's evaluations so far: its own `calls`, else those of its forward."""
        seen: Counter[str] = Counter()
        with ExitStack() as hooks:
            for name, net in self.networks.items():
                if not hasattr(net, "calls"):
                    count = net.register_forward_pre_hook(lambda *_, n=name: seen.update([n]))
                    hooks.callback(count.remove)
            yield lambda: {n: getattr(net, "calls", seen[n]) for n, net in self.networks.items()}

    def add(self, images: int, nfe: Mapping[str, int]) -> None:
        """Images, made now or before, and the evaluations that each of them took."""
        self.known += images
        for name, calls in nfe.items():
            self.calls[name] += images * calls

    def look_at(self, y: Tensor) -> Tensor:
        """The same images; those with values beyond LOST, or none at all, are counted."""
        inside = (y.abs() <= LOST).flatten(1).all(1)
        self.lost += len(y) - int(inside.sum())
        return y

    def warn(self) -> None:
        """Say how many images were lost, and which were made again, if any."""
        if self.lost:
            warnings.warn(
                f"{self.lost} of {self.images} translations have values beyond {LOST:g} or NaN, "
                "where images are in [-1, 1]: the network is hardly trained, or the steps are too "
                "large for the energy. Use more of them (sampler.grid.steps), smaller "
                "energy.weights (translator=egsde_fast is stable at any faithfulness)",
                stacklevel=2,
            )
        if self.stale:
            names = ", ".join(self.stale[:5]) + (", ..." if len(self.stale) > 5 else "")
            warnings.warn(
                f"{len(self.stale)} images were made again ({names}): the files were not made from "
                "these sources with these settings and networks, or were changed since",
                stacklevel=2,
            )
