"""Processes that read images for another leave signals to it: it stops, and ends them.

Ctrl-C in a terminal goes to all processes of a command, and so does what SLURM sends. A worker that
died of it would take the work with it before that could be saved.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import torch

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


def deaf(worker: int) -> None:
    """A worker hears the SIGTERM of its parent alone, which ends one that hangs."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS, Windows
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    threading.Thread(target=_wait, args=(os.getppid(),), daemon=True, name="signals").start()


def _wait(parent: int) -> None:
    while True:
        sent = signal.sigwaitinfo(STOPPING)
        if sent.si_signo == signal.SIGTERM and sent.si_pid == parent:
            os._exit(0)
