"""One command at a time in a run's folder, and no folder left by a command that was refused."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.disk import keeping, refuse_taken, remove_empty, remove_leftovers, unwritable

try:
    import fcntl
except ImportError:  # Windows: two commands there are not kept apart
    fcntl = None  # type: ignore[assignment]


_paths: set[Path] = set()  # of the locks of this process


def leave(code: int) -> NoReturn:
    """End at once, whatever other threads do; no lock stays behind."""
    for path in tuple(_paths):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    os._exit(code)


@contextlib.contextmanager
def held(out: Path, name: str = ".lock", clean: bool = True) -> Iterator[None]:
    """Hold the folder; ValueError where another command does, OSError where it cannot be written.
    The system lets go of the lock of a process that was killed.

    name: of the lock's file; commands with other names may share the folder. clean: remove what a
    killed command has left half-written. Of several processes of a run the first holds it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    path = out / name
    if getattr(rank_zero_only, "rank", 0):
        with keeping(path):
            yield
        return
    try:
        file = None
        try:
            try:
                file = _locked(path)
                _paths.add(path)
                _refuse_others(out, name)
            except OSError as error:
                raise unwritable(out, error) from error
            if clean:
                remove_leftovers(out)
            with keeping(path):
                yield
        finally:
            if file is not None:
                _paths.discard(path)
                path.unlink(missing_ok=True)
                file.close()
    except Exception:
        remove_empty(out)
        raise


def _refuse_others(out: Path, name: str) -> None:
    """Shards go beside each other, and the whole beside none: it removes what they have not yet
    finished. Locks that killed commands have left are removed."""
    for path in out.glob(".lock*"):
        if ".lock" in (name, path.name) and path.name != name:
            with _locked(path):
                path.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str]:
    refuse_taken(path, folder=False)
    while True:
        file = path.open("a+")
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            who = file.read().strip() or "another process"
            file.close()
            if not isinstance(error, (BlockingIOError, PermissionError)):
                raise
            raise ValueError(
                f"{path.parent} is in use by {who}; wait until it ends, or use another out= folder"
            ) from None
        with contextlib.suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                file.truncate(0)
                file.write(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
                file.flush()
                return file
        file.close()  # the holder has removed it in between
