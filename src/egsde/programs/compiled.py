"""`compile=true`: the networks of a translation through torch.compile.

Weights, checks and counts of evaluations stay those of the modules. What a network computes is
the same but for rounding; it takes minutes to start, for each shape of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def compile_networks(parts: Iterable[nn.Module], backend: str = "inductor") -> None:
    """Compile each part's `net`, or the part itself, and its `features` where it has them.

    ValueError where torch.compile does not work on this machine.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.compile(lambda x: x.sin() + 1, backend=backend)(torch.ones(8, device=device))
    except Exception as error:
        raise ValueError(
            f"compile=true: torch.compile does not work here ({type(error).__name__}); it needs a "
            "C++ compiler on a CPU and Triton on a GPU. Use compile=false"
        ) from error
    for part in parts:
        net = getattr(part, "net", part)
        net.compile(backend=backend)
        if (features := getattr(net, "features", None)) is not None:
            net.features = torch.compile(features, backend=backend)
