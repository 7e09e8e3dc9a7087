"""LPIPS (Zhang 2018) by torchmetrics, where the weights of its network are to be had: as a metric,
and as an energy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch
from torchmetrics import Metric
from torchmetrics.functional.image.lpips import _LPIPS
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchmetrics.utilities.prints import rank_zero_warn
from torchvision.models import get_model_weights

from egsde.energies.lpips import LPIPS
from egsde.networks import check_fit, read_weights

FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth",
         "squeeze": "squeezenet1_1-b8a52dc0.pth"}  # fmt: skip


def _file(net: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / FILES[net]


def _check_cache(file: Path) -> None:
    """torchvision opens what lies in the cache with all that a pickle may do, so it is read here
    first. OSError where it is absent and EGSDE_OFFLINE is set; ValueError for what is no weights.
    """
    if file.is_file():
        try:
            read_weights(file)
        except ValueError as error:
            raise ValueError(f"{error}, or remove it, and it is fetched anew") from error
    elif os.environ.get("EGSDE_OFFLINE", "0") not in ("", "0"):
        raise OSError("EGSDE_OFFLINE is set")


def lpips(net: str = "alex") -> Metric | None:
    """The metric of images in [0, 1]; None, with one warning, where no weights can be fetched.

    Raises ValueError for an unknown network.
    """
    if net not in FILES:
        raise ValueError(f"net={net} is unknown; use one of {', '.join(FILES)}")
    file = _file(net)
    try:
        _check_cache(file)
        return LearnedPerceptualImagePatchSimilarity(net_type=net, normalize=True)  # type: ignore[arg-type]
    except (OSError, RuntimeError) as error:
        rank_zero_warn(f"LPIPS is left out: no weights of {net} ({error}); put them at {file}")
        return None


NETS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


def load_lpips(net: str = "alex", weights: str | Path | None = None, side: int = 64) -> LPIPS:
    """net: alex, vgg or squeeze. weights: torchvision's file of that network; null: torch hub's
    cache, or fetched, unless EGSDE_OFFLINE is set. ValueError where it is not to be had."""
    if net not in NETS:
        raise ValueError(f"net={net} is unknown; use one of {', '.join(NETS)}")
    given = _fetched(net) if weights is None else read_weights(Path(weights).expanduser())
    made = _LPIPS(net=net, pnet_rand=True)  # type: ignore[arg-type]
    own = made.net.state_dict()
    theirs = {name: re.sub(r"^slice(s\.)?\d+", "features", name) for name in own}
    state = {name: given[old] for name, old in theirs.items() if old in given}
    check_fit(own, state, f"torchvision's {NETS[net]}, energy/term=lpips weights={weights}")
    made.net.load_state_dict(state)
    return LPIPS(made.eval().requires_grad_(False), side)


def _fetched(net: str) -> Any:
    chosen = get_model_weights(NETS[net]).IMAGENET1K_V1  # type: ignore[attr-defined]
    file = _file(net)
    try:
        _check_cache(file)
        return chosen.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"energy/term=lpips: no weights of {NETS[net]} ({error}); put torchvision's file at "
            f"{file}, or name it as the term's weights="
        ) from error
