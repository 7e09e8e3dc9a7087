"""Exponential moving average of a network's weights with a warm-up (Song 2021, score_sde ema.py).

    decay_n = min(decay, (1 + n) / (10 + n)),    ema <- decay_n ema + (1 - decay_n) net

The copy is an ordinary submodule, so its weights lie in the checkpoint under their own keys, beside
the raw ones.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EMA(nn.Module):
    """`.net`: a frozen copy of the network given, averaged by `update`. `decay` in [0, 1).
    ValueError for another."""

    updates: Tensor

    def __init__(self, net: nn.Module, decay: float = 0.9999) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"ema decay must lie in [0, 1), got {decay}; 0.9999 is usual")
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.count: int | None = None  # `updates` as a number, not to be asked from the device
        self.register_load_state_dict_post_hook(lambda module, keys: setattr(module, "count", None))

    def train(self, mode: bool = True) -> EMA:
        """The average stays in eval mode: it is only ever used to sample."""
        return super().train(False)

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move towards `net`; buffers are copied."""
        n = int(self.updates) if self.count is None else self.count
        average = get_ema_multi_avg_fn(min(self.decay, (1 + n) / (10 + n)))
        average(list(self.net.parameters()), list(net.parameters()), None)
        for ours, theirs in zip(self.net.buffers(), net.buffers(), strict=True):
            ours.copy_(theirs)
        self.updates += 1
        self.count = n + 1
