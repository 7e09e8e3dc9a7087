"""A command in a process of its own that is killed where one wants: at a file event or a moment."""

from __future__ import annotations

import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


class Events:
    """Counts what is done to files below a folder, and kills the process before event `last`."""

    def __init__(self, folder: Path, last: int | None) -> None:
        self.folder, self.last, self.seen = str(folder), last, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and not self._touches(*arguments[1:3]):
            return
        self.seen += 1
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _touches(mode: str | None, flags: int) -> bool:
        """Opened for writing, or, without a mode, by os.open: the flush of a file."""
        return mode is None or bool(flags & WRITING)


class Place:
    """Where a child is: a number that it writes into memory it shares, so that a kill leaves it."""

    OUTSIDE, LOOP, SAVING = range(3)

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, 16)

    @property
    def now(self) -> int:
        return self.shared[0]

    @property
    def seconds(self) -> float:
        """How long the last child was in its loop."""
        return struct.unpack_from("d", self.shared, 8)[0]

    def inside(self, owner: type, name: str, number: int) -> None:
        """In this process, `number` is what is read while `owner.name` runs."""
        method = getattr(owner, name)

        def told(*arguments: Any, **options: Any) -> Any:
            with self._at(number):
                return method(*arguments, **options)

        setattr(owner, name, told)

    @contextmanager
    def _at(self, number: int) -> Iterator[None]:
        before, began = self.shared[0], time.perf_counter()
        self.shared[0] = number
        try:
            yield
        finally:
            self.shared[0] = before
            if number == self.LOOP:
                struct.pack_into("d", self.shared, 8, time.perf_counter() - began)


def child(
    work: Callable[[], Any], folder: Path, last: int | None = None, after: float | None = None,
    below: Path | None = None, place: Place | None = None,
) -> tuple[int, int]:  # fmt: skip
    """(exit code, file events) of `work` in a forked process; -9 for a killed one.

    last: the file event below `folder`, or `below` a part of it, before which it is killed; after:
    or so many seconds, of its loop where a `place` is given.
    """
    counts = folder.with_name(f"{folder.name}.events")
    counts.unlink(missing_ok=True)
    if (pid := os.fork()) == 0:
        code = 1
        try:
            quiet = os.open(counts.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            events = Events(below or folder, last)
            sys.addaudithook(events)
            work()
            counts.write_text(str(events.seen))
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if after is not None:
        while place is not None and place.now == Place.OUTSIDE and not _ended(pid):
            time.sleep(0.002)
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, int(counts.read_text()) if counts.exists() else 0


def _ended(pid: int) -> bool:
    """Whether a child has come to its end, which is left to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def told(folder: Path) -> str:
    """What the last child of a folder has printed."""
    return folder.with_name(f"{folder.name}.log").read_text()


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk does to those that are longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
