"""Bytes of tensors: how many were alive at once, counted exactly on every device.

Every tensor that an operation makes, forwards or backwards, is counted from then until its storage
is freed; an operation's own workspace is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """with LiveBytes() as live: ...; then live.peak, live.now: bytes made inside and alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref] = {}

    def __torch_dispatch__(
        self,
        func: Callable,
        types: Sequence[type],
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        before = {_storage(value) for value in tree_leaves((args, kwargs)) if _is_tensor(value)}
        for value in tree_leaves(out):
            if _is_tensor(value) and _storage(value) not in before:  # no view, not in place
                self._count(value)
        return out

    def _count(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def freed(_: object) -> None:
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def _storage(value: Tensor) -> int:
    return value.untyped_storage()._cdata
