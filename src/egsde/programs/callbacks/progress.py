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
from torch import nn

Advance = Callable[[float], None]  # so many more images are done


class Speed(ProgressColumn):
    """Images per second, or seconds per image where that is the larger number."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("-")
        return Text(f"{speed:.2f} images/s" if speed >= 1 else f"{1 / speed:.1f} s/image")


@contextmanager
def images_bar(total: int, shown: bool = True, doing: str = "translating") -> Iterator[Advance]:
    """Yields advance(images)."""
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), Speed(),
               TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=not shown, speed_estimate_period=120) as progress:
        task = progress.add_task("", total=total)

        def advance(images: float) -> None:
            done = progress.tasks[task].completed + images
            whole = round(done)  # shares of an image add up to one but for rounding
            progress.update(task, completed=whole if abs(done - whole) < 1e-6 * total else done)

        yield advance


@contextmanager
def step_by_step(
    score: nn.Module | None, steps: int, images: int, advance: Advance
) -> Iterator[None]:
    """Advance by a fraction of `images` at each evaluation of `score`, `steps` of them expected;
    where there is no score or nobody knows its steps, by all of them at the end."""
    if score is None or not steps:
        yield
        advance(images)
        return
    left = float(images)

    def evaluated(*_: object) -> None:
        nonlocal left
        part = min(left, images / steps)
        left -= part
        advance(part)

    handle = score.register_forward_hook(evaluated)
    try:
        yield
    finally:
        handle.remove()
    advance(left)
