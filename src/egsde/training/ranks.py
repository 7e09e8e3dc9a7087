"""What the processes of one run tell each other."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def all_gather(value: Any) -> list[Any]:
    """The values of all processes; alone, a list of one."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def to_first(value: Any) -> list[Any]:
    """The values of all processes on the first, none on the others: what is large stays there."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    first = dist.get_rank() == 0
    values: list[Any] = [None] * dist.get_world_size() if first else []
    dist.gather_object(value, values if first else None)
    return values


def from_first(value: Any) -> Any:
    """The first process's value."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def rows_of_all(x: Tensor) -> tuple[Tensor, slice]:
    """The rows of all processes in their order, without gradients, and where one's own are."""
    if not (dist.is_available() and dist.is_initialized()):
        return x, slice(0, len(x))
    parts = all_gather(x.detach().cpu())
    first = sum(len(part) for part in parts[: dist.get_rank()])
    return torch.cat(parts).to(x.device), slice(first, first + len(x))


def mean_of_all(x: Tensor) -> Tensor:
    """The mean of what each process has, without gradients; all of them must ask."""
    if not (dist.is_available() and dist.is_initialized()):
        return x.detach()
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
