"""Processes that read images for another leave signals to it: it stops, and ends them.

Ctrl-C in a terminal goes to all processes of a command, and so does what SLURM sends. A worker that
died of it would take the work with it before that could be saved.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader

STOPPING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
            if hasattr(signal, name)}  # fmt: skip


def cores() -> int:
    """How many cores this process may use: in a job or a container not all of the machine."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def loader_options(workers: int) -> dict[str, Any]:
    """What every loader of images has in common."""
    return {
        "num_workers": workers,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": workers > 0,
        "worker_init_fn": deaf,
        "generator": torch.Generator(),  # the global one stays as it is
    }


class Loader(DataLoader):
    """A DataLoader whose processes are all started, or none: a signal waits until they are."""

    def __iter__(self) -> Iterator:  # type: ignore[override]
        with held_back():
            return super().__iter__()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals that stop the work are acted on once the block has ended, and not by processes that
    are started in it."""
    came: list[int] = []
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    before[number] = signal.signal(number, lambda signum, _: came.append(signum))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def deaf(worker: int) -> None:
    """A worker hears the SIGTERM of its parent alone, which ends one that hangs; that whoever asked
    it for a batch is gone is told where that one is looked after, not by a traceback from here."""
    sys.excepthook = _told
    if not hasattr(signal, "sigwaitinfo"):  # macOS, Windows
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    threading.Thread(target=_wait, args=(os.getppid(),), daemon=True, name="signals").start()


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)


def _wait(parent: int) -> None:
    while True:
        sent = signal.sigwaitinfo(STOPPING)
        if sent.si_signo == signal.SIGTERM and sent.si_pid == parent:
            os._exit(0)
