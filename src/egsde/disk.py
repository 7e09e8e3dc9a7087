"""Files that are whole or not there: written beside the target, flushed to the disk, renamed.

A crash at any moment leaves the file before or the file after, and at most a hidden `.NAME.tmp`,
which the next writer of the file replaces and the next start of a run removes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_kept: dict[Path, tuple[Path, int]] = {}  # folders of runs: a file there, which folder it was
UNFINISHED = re.compile(r"file write failed|unexpected pos|PytorchStreamWriter")  # of torch.save

LONGEST = 65_536  # bytes of a row
UMASK = threading.Lock()  # there is no way to ask for it without setting it for all threads


@contextlib.contextmanager
def whole(path: Path, shared: bool = False) -> Iterator[Path]:
    """Yields a name to write to, which becomes `path` when the block ends well.

    shared: other programs may write the same file at the same time, so the name is this process's.

    OSError says what could not be written and why: no room, no right, or the run's folder is gone.
    """
    refuse_gone(path)
    mark = f".{socket.gethostname()}-{os.getpid()}" if shared else ""
    temporary = path.with_name(f".{path.name}{mark}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # it may be a link that leads elsewhere
        yield temporary
        with UMASK:
            mask = os.umask(0)
            os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # some writers make files that only their owner can read
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if (cause := _of_the_disk(error)) is not None:
            raise unwritable(path, cause) from error
        raise


@contextlib.contextmanager
def appending(path: Path) -> Iterator[IO[str]]:
    """What rows are written to that go to the file's end when the block ends, all or none of them;
    half a row that a kill has left there is cut off. OSError as of `whole`, ValueError for a
    link."""
    refuse_gone(path)
    refuse_link(path)
    rows = io.StringIO(newline="")
    yield rows
    try:
        _append(path, rows.getvalue().encode())
    except OSError as error:
        raise unwritable(path, error) from error


def refuse_link(path: Path) -> None:
    """ValueError for a link, through which what is written would go elsewhere."""
    if path.is_symlink():
        raise ValueError(
            f"{path} is a link to {os.readlink(path)}; nothing is written outside {path.parent}: "
            "remove the link, or use another out= folder"
        )


def refuse_taken(path: Path, folder: bool = True) -> None:
    """ValueError for a link where a folder is to be (or a file, folder=False), and for the other
    kind."""
    refuse_link(path)
    if path.exists() and path.is_dir() != folder:
        there, wanted = ("file", "folder") if folder else ("folder", "file")
        raise ValueError(
            f"{path} is a {there}, in the place of a {wanted} that is to be written: move it away, "
            "or use another out= folder"
        )


def _append(path: Path, rows: bytes) -> None:
    with path.open("a+b", buffering=0) as file:
        if fcntl is not None:  # the processes of a run share the file
            fcntl.lockf(file, fcntl.LOCK_EX)
        file.truncate(end := _whole_rows(file))
        try:
            while rows:
                rows = rows[file.write(rows) :]
        except BaseException:
            file.truncate(end)
            raise


def _whole_rows(file: IO[bytes]) -> int:
    """The size of a file of rows, without half a row at its end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(first := max(0, size - LONGEST))
    newline = file.read(LONGEST).rfind(b"\n")
    return first + newline + 1 if newline >= 0 or first == 0 else size


def unwritable(path: Path, cause: OSError) -> OSError:
    """What is said of a file or a folder that cannot be written."""
    there = next((place for place in (path, *path.parents) if place.exists()), path)
    if cause.errno in (errno.EEXIST, errno.ENOTDIR) and there.is_file():
        return OSError(f"{there} is a file, not a folder; use another out= folder")
    if cause.errno == errno.EISDIR:
        return OSError(f"{path} is a folder, in the place of a file: move it away, or use another "
                       "out= folder")  # fmt: skip
    if cause.errno == errno.ENOENT and there != path:
        return OSError(f"{path}: nothing can be made in {there}; use another out= folder")
    return OSError(
        f"{path} cannot be written: {cause.strerror or cause}; make room or give the right there, "
        "and start again, or use another out= folder"
    )


def _of_the_disk(error: BaseException) -> OSError | None:
    """Why a file could not be written; None for what the disk has no part in.

    Libraries that write by code of their own say it in texts.
    """
    if isinstance(error, OSError):
        return error
    text = str(error)
    if (number := re.search(r"\(os error (\d+)\)", text)) is not None:
        return OSError(int(number[1]), os.strerror(int(number[1])))
    return OSError("no room is left") if UNFINISHED.search(text) else None


@contextlib.contextmanager
def keeping(mark: Path) -> Iterator[None]:
    """Inside, nothing is written into the folder of that file once it is deleted or replaced."""
    folder = mark.absolute().parent
    _kept[folder] = mark.absolute(), folder.stat().st_ino
    try:
        yield
    finally:
        _kept.pop(folder, None)


def refuse_gone(path: Path) -> None:
    """OSError where a file would go into a run's folder that is no longer the one it was."""
    for folder, (mark, number) in _kept.items():
        if folder not in path.absolute().parents:
            continue
        there = folder.exists() and (mark.exists() or folder.stat().st_ino == number)
        if not there:
            raise OSError(
                f"{folder} was deleted or moved while it was written to; what was in it is gone "
                "with it. Bring it back, or start again"
            )


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


def found_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where there is none, or it is damaged."""
    try:
        return read_object(path, "")
    except (OSError, ValueError):
        return {}


def sha256_of_file(path: Path) -> str:
    """The hash of a file's bytes, as `sha256sum` has it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


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
