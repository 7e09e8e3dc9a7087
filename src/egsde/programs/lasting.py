"""Output whose reader may go: a closed terminal, or `| head`, does not end the work.

What is written after that goes nowhere; the work, its files and its exit code stay what they are.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

GONE = (errno.EPIPE, errno.EIO)


class Lasting(io.FileIO):
    """A file descriptor that is that of /dev/null once nobody reads it any more."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in GONE:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def lasting(stream: Any) -> Any:
    """The same stream over such a descriptor."""
    raw = Lasting(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors,
        line_buffering=stream.line_buffering or stream is sys.__stderr__,
    )  # fmt: skip


@contextlib.contextmanager
def outputs() -> Iterator[None]:
    """Inside, the process's own output and errors last; others, as a notebook's, stay."""
    with contextlib.ExitStack() as after:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None or stream is not getattr(sys, f"__{name}__"):
                continue
            with contextlib.suppress(OSError):
                stream.flush()
                made = lasting(stream)
                setattr(sys, name, made)
                after.callback(setattr, sys, name, stream)
                after.callback(made.flush)
        yield
