"""What the processes of one run tell each other."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist


def all_gather(value: Any) -> list[Any]:
    """The values of all processes; alone, a list of one."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
