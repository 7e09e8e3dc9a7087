"""After a run's images: which sources and translations lie outside of what the networks know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from egsde.data import Written
from egsde.data.domains import spread
from egsde.evaluation.known import LEVELS, Knowing, Range
from egsde.methods.tiled import multiple_in
from egsde.programs.callbacks.pictures import as_float
from egsde.programs.callbacks.progress import images_bar
from egsde.programs.inputs import codec_of

MOST = 256  # reference images
SPLIT = "val"
Items = list[tuple[str, Callable[[], Any]]]  # names, and what reads each image


class Outside(Callback):
    """share: of images like the validation split's that are outside; None or 0: none is asked.

    A translation is compared with images of the target under their score; an input with inputs,
    under the source's own score where there is one. columns: `error`, `outside` (0 or 1),
    `input_error`, `input_outside` by image id; metrics: their means, and `outside_source`, of
    sources in place of the translations; protocol: the thresholds.
    """

    def __init__(self, out: Path, seed: int, split: str, share: float | None) -> None:
        self.out, self.seed, self.split, self.share = out, seed, split, share
        self.columns: dict[str, dict[str, float]] = {}
        self.metrics: dict[str, float] = {}
        self.protocol: dict[str, Any] = {}

    def on_test_epoch_end(self, trainer: Trainer, module: Any) -> None:
        if not self.share or not trainer.is_global_zero or not module.data.store.drawable:
            return
        networks = {name: net for name, net in module.networks.items() if _plain(net)}
        if "score" not in networks:
            rank_zero_warn("outside: left out, no network here is a score of images by themselves")
            return
        score = self._knowing(module, networks["score"])
        sources, translations = self._sources(module), self._translations(module)
        before = self._errors(score, module, sources)
        if (known := self._range("outside", score, module, _target)) is not None:
            self._told("", known, self._errors(score, module, translations))
            self.metrics["outside_source"] = _share(known, before)
        if module.data.single:
            return
        if "source_score" in networks:
            score = self._knowing(module, networks["source_score"])
            before = self._errors(score, module, sources)
        if (known := self._range("input_outside", score, module, _inputs)) is not None:
            self._told("input_", known, before)

    def _knowing(self, module: Any, network: Any) -> Knowing:
        if (codec := codec_of(module.translator)) is None:
            return Knowing(network, multiple_in(network), seed=self.seed)
        multiple = codec.factor * multiple_in(network)
        return Knowing(network, multiple, codec.encode, seed=self.seed)

    def _range(self, name: str, knowing: Knowing, module: Any, like: Any) -> Range | None:
        try:
            errors = self._errors(knowing, module, like(module.data), "what is known")
            known = Range.of(errors.values(), self.share or 0)
        except (ValueError, OSError) as error:  # no such images
            rank_zero_warn(f"{name}: left out, nothing to compare with: {error}")
            return None
        self.protocol[name] = {
            "split": SPLIT, "images": known.count, "share": self.share,
            "levels": list(LEVELS), "low": known.low, "high": known.high,
        }  # fmt: skip
        return known

    def _told(self, of: str, known: Range, errors: dict[str, float]) -> None:
        for name, error in errors.items():
            mine = {f"{of}error": error, f"{of}outside": float(known.outside(error))}
            self.columns[name] = self.columns.get(name, {}) | mine
        self.metrics[f"{of}outside"] = _share(known, errors)

    def _errors(
        self, knowing: Knowing, module: Any, items: Items, doing: str = "known or not"
    ) -> dict[str, float]:
        def shown() -> Iterator[tuple[str, Tensor]]:
            with images_bar(len(items), shown=True, doing=doing) as advance:
                for name, read in items:
                    if (x := read()) is not None:
                        yield name, as_float(x).to(module.device, torch.float32)
                    advance(1)

        return knowing.each(shown())

    def _translations(self, module: Any) -> Items:
        images = module.data.translations(self.split)
        every = images.dataset.ids
        written, writer = Written.of(self.out).naming(every), module.data.writer(self.split)

        def read(name: str) -> Tensor | None:
            found = writer.read(name, written.path(name))
            return None if found is None else found[0]

        return [(every[i], partial(read, every[i])) for i in images.indices]

    def _sources(self, module: Any) -> Items:
        images = module.data.translations(self.split)
        return _items(images.dataset, images.indices, "x0")


def _target(data: Any) -> Items:
    images = data.domain("target", SPLIT, MOST)
    return _items(images, range(len(images)), "image")


def _inputs(data: Any) -> Items:
    images = data.translatable(SPLIT)
    chosen = spread(len(images), MOST)
    images.look(chosen, chosen)
    return _items(images, chosen, "x0")


def _items(images: Any, chosen: Any, key: str) -> Items:
    return [(images.ids[i], partial(lambda i: images[i][key], i)) for i in chosen]


def _share(known: Range, errors: dict[str, float]) -> float:
    return sum(map(known.outside, errors.values())) / max(len(errors), 1)


def _plain(network: Any) -> bool:
    """Whether a network is a score of images, with no condition and no second end."""
    records = [getattr(part, "record", None) or {} for part in network.modules()]
    kinds = ("score", "labelled")  # a label is given before
    return hasattr(network, "sde") and all(r.get("kind", "score") in kinds for r in records)
