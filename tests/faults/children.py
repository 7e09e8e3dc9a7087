"""A command in a process of its own that is killed where one wants: at its n-th file event."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
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


def child(
    work: Callable[[], Any], folder: Path, last: int | None = None, after: float | None = None,
    below: Path | None = None,
) -> tuple[int, int]:  # fmt: skip
    """(exit code, file events) of `work` in a forked process; -9 for a killed one.

    last: the file event below `folder`, or `below` a part of it, before which it is killed; after:
    or so many seconds.
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
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, int(counts.read_text()) if counts.exists() else 0


def told(folder: Path) -> str:
    """What the last child of a folder has printed."""
    return folder.with_name(f"{folder.name}.log").read_text()


def kills(usual: int) -> int:
    """How many random kills are tried: EGSDE_KILLS, or a usual number that takes a minute."""
    return int(os.environ.get("EGSDE_KILLS", usual))
