"""What translations are compared with: real images of both domains, shared out over the ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from egsde.data import TwoDomains
from egsde.evaluation.metrics import Suite
from egsde.programs.callbacks.pictures import shown_like, to_uint8
from egsde.programs.callbacks.progress import images_bar
from egsde.training.ranks import all_gather, to_first


def set_reference(
    metrics: Suite,
    trainer: Trainer,
    data: TwoDomains,
    split: str,
    check: Callable[[], None],
    shown: bool = True,
    deep: bool = False,
) -> None:
    """Rows of both domains, the source those that are translated, once; and the floor, each time.

    check: raises where the run was interrupted. shown: with a bar. deep: the translations are of
    more than 8 bits, so the floor is, too.
    """
    of = metrics.protocol.reference_split
    size = data.size if isinstance(data.size, int) else "x".join(map(str, data.size))
    key = f"{type(data.store).__name__.lower()}-{size}-{'-'.join(data.names)}-{of}"
    rank, world = trainer.global_rank, trainer.world_size
    real, sources = data.domain("target", of), data.translations(split)

    def shared(dataset: Any, name: str) -> Iterator[Tensor]:
        mine = range(rank, len(dataset), world)
        return _images(dataset, name, mine, check, shown=shown and rank == 0)

    if not metrics.has_reference(key):
        target, source = shared(real, "image"), shared(sources, "x0")
        metrics.set_reference(target, source, key=key, gather=all_gather, collect=to_first)
    if not data.store.paired and data.degradation is None:
        like = torch.empty(0, dtype=torch.float32 if deep else torch.uint8)
        for i in range(rank, min(len(real), len(sources)), world):
            check()
            one, x0 = real[i]["image"], sources[i]["x0"]
            metrics.add_floor(shown_like(one, like)[None], shown_like(x0, like)[None])


def _images(
    dataset: Any, name: str, mine: Sequence[int], check: Callable[[], None], shown: bool
) -> Iterator[Tensor]:
    """Images of a dataset as uint8 batches of one."""
    doing = f"features of the {(name == 'x0' and 'source') or 'target'}"
    with images_bar(len(mine), shown=shown, doing=doing) as advance:
        for i in mine:
            check()
            yield to_uint8(dataset[i][name])[None]
            advance(1)
