"""Files written while the networks run on: packing a PNG and flushing it to the disk take no GPU.

At most one batch waits: the files of a batch are waited for when the next one's are given. A file
is whole or not there, as ever, so what a kill leaves is what it left before: the images that are
there, in order, but for those of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

THREADS = 2
Work = Callable[[], Any]


class Background:
    """`give` work for the threads; errors of it are raised by the next `give`, or at the end."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self.waiting: list[Future[Any]] = []

    def give(self, works: list[Work]) -> None:
        """Wait for what was given before, then begin with these."""
        self.wait()
        self.waiting = [self.pool.submit(work) for work in works]

    def wait(self) -> None:
        """The first error of what was given, once all of it has ended."""
        ended, self.waiting = self.waiting, []
        errors = [error for future in ended if (error := future.exception()) is not None]
        if errors:
            raise errors[0]


@contextmanager
def background() -> Iterator[Background]:
    """All that was given is done when the block is left, however it is left."""
    with ThreadPoolExecutor(THREADS, "files") as pool:
        files = Background(pool)
        yield files
        files.wait()
