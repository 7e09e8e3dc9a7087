"""How many images go through the networks at once: half as many where memory ends.

An image does not depend on its batch (`egsde.noise`), so that nothing is lost but the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

T = TypeVar("T")
SAID = ("can't allocate memory", "not enough memory")  # what PyTorch's allocator of CPUs says


def memory_ended(error: BaseException) -> bool:
    """Whether an error says that the device or the machine has no memory left."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(s in str(error) for s in SAID))


class Room:
    """most: images at once that there was room for; None until memory has ended."""

    def __init__(self) -> None:
        self.most: int | None = None

    def each(self, work: Callable[[Sequence[T]], None], items: Sequence[T]) -> None:
        """work on all items, in order, `most` at a time. ValueError where one is too many."""
        while items:
            now = items[: self.most]
            try:
                work(now)
            except (RuntimeError, MemoryError) as error:
                if not memory_ended(error):
                    raise
                if len(now) == 1:
                    raise ValueError(
                        "memory ends with a single image; use a smaller data.size, "
                        "trainer.precision=bf16-mixed, translator/tiles=multi_diffusion, or a "
                        "device with more memory"
                    ) from error
                self.most = len(now) // 2
            else:
                items = items[len(now) :]
                continue
            rank_zero_warn(f"memory ends with {len(now)} images at once; {self.most} are tried")
            if torch.cuda.is_available():  # once the error, which holds the images, is gone
                torch.cuda.empty_cache()
