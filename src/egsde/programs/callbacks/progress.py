"""A bar for each phase, in images: how many, how fast, how long still."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from rich.console import Console
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
FIRST, EVERY = 10.0, 60.0  # seconds to the first line of a phase without a terminal, and between
BRIEF = 1.0  # what takes less seconds is not told there
inside: list[Progress] = []  # the bars that are open: one live display a terminal
spoken: list[TextIO] = []  # where bars go while all other words are kept back


class Speed(ProgressColumn):
    """So many per second, or seconds for one where that is the larger number."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or unit == "seconds":
            return Text("-")
        one = unit.removesuffix("s")
        return Text(f"{speed:.2f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s/{one}")


def bars(console: Console, shown: bool = True) -> Progress:
    """Phases below each other: what is done, how far, how fast, how long still. Bars of what runs
    inside, such as a validation's, join those that are open (`inside`)."""
    return Progress(
        TextColumn("{task.fields[doing]}"), BarColumn(), MofNCompleteColumn(), Speed(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console, disable=not shown, speed_estimate_period=300,
    )  # fmt: skip


@contextmanager
def images_bar(
    total: int, shown: bool = True, doing: str = "translating", unit: str = "images"
) -> Iterator[Advance]:
    """Yields advance(images); what ends well ends at total/total.

    Without a terminal a line after ten seconds, one a minute and one at the end stand for the bar,
    and none for less than a second. Bars that open meanwhile join this one.
    """
    if not shown or not total:
        yield lambda images: None
    elif inside:
        with _joined(inside[-1], total, doing, unit) as advance:
            yield advance
    elif (console := _console()).is_terminal:
        with bars(console) as progress, _joined(progress, total, doing, unit, left=True) as advance:
            inside.append(progress)
            try:
                yield advance
            finally:
                inside.remove(progress)
    else:
        lines = Lines(console, total, doing, unit)
        yield lines.advance
        lines.end()


@contextmanager
def minutes_bar(minutes: float, doing: str) -> Iterator[Advance]:
    """On a terminal a bar of the minutes that a program has, which the bars of its phases join."""
    shown = _console().is_terminal
    with images_bar(round(60 * minutes), shown, doing, unit="seconds") as passed:
        yield passed


def _console() -> Console:
    return Console(file=spoken[-1] if spoken else None, soft_wrap=True, highlight=False)


@contextmanager
def bars_alone() -> Iterator[None]:
    """What is printed is kept back, but for bars and the lines that stand for them."""
    spoken.append(sys.stdout)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        spoken.pop()


@contextmanager
def _joined(
    progress: Progress, total: int, doing: str, unit: str, left: bool = False
) -> Iterator[Advance]:
    """A bar among others; left: it stays when it has ended."""
    task = progress.add_task("", total=total, doing=doing, unit=unit)
    done = 0.0

    def advance(images: float) -> None:
        nonlocal done
        done += images
        progress.update(task, completed=min(total, round(done, 3)))

    yield advance
    progress.update(task, completed=total)
    if not left:
        progress.remove_task(task)


class Lines:
    """A phase in plain lines, for logs."""

    def __init__(self, console: Console, total: int, doing: str, unit: str) -> None:
        self.console, self.total, self.doing, self.unit = console, total, doing, unit
        self.done, self.began = 0.0, time.monotonic()
        self.next = self.began + FIRST

    def advance(self, images: float) -> None:
        """So many images more; a line when it is time for one."""
        self.done += images
        now = time.monotonic()
        if now >= self.next and 0 < self.done < self.total:
            self.next = now + EVERY
            left = (now - self.began) * (self.total / self.done - 1)
            self._say(f"{int(self.done)}/{self.total} {self.unit}, {left:.0f} s left")

    def end(self) -> None:
        if (seconds := time.monotonic() - self.began) >= BRIEF:
            self._say(f"{self.total}/{self.total} {self.unit} in {seconds:.0f} s")

    def _say(self, text: str) -> None:
        self.console.print(f"{self.doing}: {text}")


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
