"""Clocks, counted operations and what this machine does at best, for `speed.py`."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from egsde.training.in_loop.memory import LiveBytes

Work = Callable[[], object]


@dataclass(frozen=True)
class Taken:
    """Medians of the repeats: seconds of all cores, and by the clock."""

    cpu: float
    wall: float


def waited(device: torch.device) -> None:
    """Return when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternating(works: Mapping[str, Work], repeats: int, device: torch.device) -> dict[str, Taken]:
    """Each work in turn, `repeats` times around after one that is not counted: what else the
    machine does meets all of them alike."""
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            waited(device)
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            waited(device)
            if turn:
                rows[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: Taken(*(statistics.median(column) for column in zip(*taken, strict=True)))
        for name, taken in rows.items()
    }


class Operations(TorchDispatchMode):
    """with Operations() as seen: ...; then seen.found: floating-point operations by kind, 2 a
    multiplication with its sum, as torch.utils.flop_counter counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.found[str(func._overloadpacket)] += formula(*args, **(kwargs or {}), out_val=out)
        return out


def counted(work: Work) -> tuple[int, int]:
    """(operations of convolutions, of matrix products)."""
    with Operations() as seen:
        work()
    convolutions = sum(n for name, n in seen.found.items() if "convolution" in name)
    return convolutions, sum(seen.found.values()) - convolutions


def most_bytes(work: Work, device: torch.device) -> int:
    """The peak of what was alive at once, above what was there before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with LiveBytes() as live:
        work()
    return live.peak


@dataclass(frozen=True)
class Peaks:
    """Operations a second of a core (of the device, on CUDA) for the best of two layouts of a large
    3 x 3 convolution, and for a large matrix product."""

    convolution: float
    product: float

    def floor(self, convolutions: float, products: float) -> float:
        """Seconds that counted operations take at least."""
        return convolutions / self.convolution + products / self.product


@torch.no_grad()
def peaks(device: torch.device, dtype: torch.dtype, repeats: int = 5, width: int = 256) -> Peaks:
    """Measured here and now, in this dtype and with these threads."""
    net = nn.Conv2d(width, width, 3, padding=1, bias=False).to(device, dtype)
    x = torch.ones(2, width, 64, 64, device=device, dtype=dtype)
    last = x.contiguous(memory_format=torch.channels_last)
    a = torch.ones(6 * width, 6 * width, device=device, dtype=dtype)
    works: dict[str, Work] = {
        "planes": lambda: net(x), "last": lambda: net(last), "product": lambda: a @ a,
    }  # fmt: skip
    taken = alternating(works, repeats, device)
    seconds = {name: of(one, device) for name, one in taken.items()}
    convolution = 2 * 9 * width * x.numel() / min(seconds["planes"], seconds["last"])
    return Peaks(convolution, 2 * a.shape[0] ** 3 / seconds["product"])


def of(taken: Taken, device: torch.device) -> float:
    """What is compared: seconds of the processor, which others change little; on CUDA, by clock."""
    return taken.wall if device.type == "cuda" else taken.cpu


def busy(threads: int) -> bool:
    """Whether more was running here than these threads."""
    return os.getloadavg()[0] > threads + 0.5


def sizes_of(net: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in net.parameters())


def filled(*nets: nn.Module) -> None:
    """Random numbers where a fresh network has zeros, so that every branch counts."""
    torch.manual_seed(0)
    for net in nets:
        net.eval().requires_grad_(False)
        for p in net.parameters():
            if not bool(p.any()):
                nn.init.normal_(p, 0, 0.02)


def largest(a: Tensor, b: Tensor) -> float:
    """The largest difference of two results."""
    return float((a - b).abs().max())
