"""LPIPS (Zhang 2018) by torchmetrics, where the weights of its network are to be had."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torchmetrics import Metric
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchmetrics.utilities.prints import rank_zero_warn

FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth",
         "squeeze": "squeezenet1_1-b8a52dc0.pth"}  # fmt: skip


def lpips(net: str = "alex") -> Metric | None:
    """The metric of images in [0, 1]; None, with one warning, where no weights can be fetched.

    Raises ValueError for an unknown network.
    """
    if net not in FILES:
        raise ValueError(f"net={net} is unknown; use one of {', '.join(FILES)}")
    file = Path(torch.hub.get_dir()) / "checkpoints" / FILES[net]
    try:
        if not file.is_file() and os.environ.get("EGSDE_OFFLINE", "0") not in ("", "0"):
            raise OSError("EGSDE_OFFLINE is set")
        return LearnedPerceptualImagePatchSimilarity(net_type=net, normalize=True)  # type: ignore[arg-type]
    except (OSError, RuntimeError) as error:
        rank_zero_warn(f"LPIPS is left out: no weights of {net} ({error}); put them at {file}")
        return None
