"""Is a step's gradient finite? Asked without waiting for the device that computes it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WHAT_TO_DO = (
    "no checkpoint holds it. Use a smaller module.optimizer.lr, a longer module.schedule.warmup, "
    "or trainer.precision=32-true, and look at the images"
)


class Finite:
    """The gradient norm of a step, on its way to the CPU."""

    def __init__(self, step: int, norm: Tensor) -> None:
        self.step, self.norm, self.arrived = step, norm, None
        if norm.is_cuda:
            self.norm = torch.empty((), dtype=norm.dtype, pin_memory=True)
            self.norm.copy_(norm, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def check(self) -> None:
        """ValueError where it is not finite."""
        if self.arrived is not None:
            self.arrived.synchronize()
        if not self.norm.isfinite():
            raise ValueError(
                f"step {self.step}: the loss or its gradient is not finite (norm {self.norm}); "
                f"{WHAT_TO_DO}"
            )


def check_weights(network: nn.Module, step: int) -> None:
    """ValueError where a weight is not finite: such weights are not saved over good ones."""
    largest = torch.nn.utils.get_total_norm(list(network.parameters()), float("inf"))
    if not largest.isfinite():
        raise ValueError(f"step {step}: the weights are not finite; {WHAT_TO_DO}")
