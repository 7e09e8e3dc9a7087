"""Files that are whole or not there: written beside the target, flushed to the disk, renamed.

A crash at any moment leaves the file before or the file after, and at most a hidden `.NAME.tmp`,
which the next writer of the file replaces and the next start of a run removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UMASK = threading.Lock()  # there is no way to ask for it without setting it for all threads


@contextlib.contextmanager
def whole(path: Path, shared: bool = False) -> Iterator[Path]:
    """Yields a name to write to, which becomes `path` when the block ends well.

    shared: other programs may write the same file at the same time, so the name is this process's.
    """
    mark = f".{socket.gethostname()}-{os.getpid()}" if shared else ""
    temporary = path.with_name(f".{path.name}{mark}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with UMASK:
            mask = os.umask(0)
            os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # some writers make files that only their owner can read
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file; ValueError where there is none, with what to do."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged or no JSON ({str(error).split(';')[0]}); {advice}"
        ) from error
    return found


def flush(path: Path) -> None:
    """What was written to a file or a folder is on the disk afterwards."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed program has left half-written below a run's folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(place, name))


def remove_empty(out: Path) -> None:
    """Remove a run's folder that holds nothing, and the folder of runs around it."""
    with contextlib.suppress(OSError):
        out.rmdir()
        parent = out.absolute().parent
        if Path.cwd() in parent.parents:
            parent.rmdir()
