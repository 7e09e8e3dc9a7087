"""A progress bar in images: how many, how fast, how long still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Speed(ProgressColumn):
    """Images per second, or seconds per image where that is the larger number."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("-")
        return Text(f"{speed:.2f} images/s" if speed >= 1 else f"{1 / speed:.1f} s/image")


@contextmanager
def images_bar(total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Yields advance(images)."""
    columns = (TextColumn("translating"), BarColumn(), MofNCompleteColumn(), Speed(),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=not shown, speed_estimate_period=120) as progress:
        task = progress.add_task("", total=total)
        yield lambda images: progress.advance(task, images)
