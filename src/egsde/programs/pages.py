"""Freed memory stays with the process."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_pages() -> None:
    """glibc gives large blocks back to the kernel, which hands them out anew page by page, each
    zeroed: a seventh of a step at 256 px on a CPU. Blocks from the heap, never trimmed, are used
    again. Nothing happens where the C library has no `mallopt`."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
