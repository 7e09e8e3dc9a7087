"""Generators of pytorch-CycleGAN-and-pix2pix and of CUT from their published weights.

Those files hold a state dict and no configuration; the shapes tell which network it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor, nn

from egsde.networks.described import described
from egsde.networks.resnet_generator import ResNetGenerator
from egsde.networks.unet_generator import UNetGenerator

DEEPEST = 16  # levels of a UNet: of 65536 pixels
DROPOUT = re.compile(r"(conv_block)\.6\.")  # the second convolution's place where dropout stands


def named_as(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The state with "model." before its names, as often as makes most of them known names: what a
    whole file has in common was taken off when it was read."""
    known = set(names)
    choices = [{prefix + k: v for k, v in state.items()} for prefix in ("", "model.", "model." * 2)]
    return max(choices, key=lambda choice: len(known & choice.keys()))


def generator_of(state: Mapping[str, Tensor], name: str) -> nn.Module:
    """The network of a state dict, with its weights. name: of the file, for the ValueError where
    the layout is neither a residual generator's nor a UNet's."""
    state = named_as(state, ("model.1.weight", "model.model.0.weight"))
    if _wide(state, "model.1.weight"):
        state = {DROPOUT.sub(r"\1.5.", k): v for k, v in state.items() if not _statistic(k)}
        make = partial(_residual, state)
    elif _wide(state, "model.model.0.weight") and _wide(state, "model.model.3.weight"):
        make = partial(_unet, state)
    else:
        shown = ", ".join(key[:80] for key in list(state)[:3])
        raise ValueError(
            f"{name} holds no known generator: its tensors are {shown} ...; a residual generator "
            "or a UNet of pytorch-CycleGAN-and-pix2pix or CUT opens"
        )
    what = "the generator that it seems to hold"
    try:
        return described(make, state, len(state), what)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _wide(state: Mapping[str, Tensor], key: str) -> bool:
    """Whether a convolution's weights stand there."""
    return key in state and state[key].ndim == 4


def _statistic(key: str) -> bool:
    """What instance norm kept before PyTorch 0.4."""
    return key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def _residual(state: Mapping[str, Tensor]) -> nn.Module:
    first = state["model.1.weight"]
    last = [v for k, v in state.items() if k.endswith(".weight") and v.ndim][-1]
    blocks = sum(key.endswith("conv_block.1.weight") for key in state)
    blurred = any(key.endswith(".filt") for key in state)
    return ResNetGenerator(first.shape[1], width=first.shape[0], blocks=blocks, antialias=blurred,
                           out_channels=last.shape[0])  # fmt: skip


def _unet(state: Mapping[str, Tensor]) -> nn.Module:
    first = state["model.model.0.weight"]
    depth = max(key.count("model.") for key in state) - 1
    if depth > DEEPEST:
        raise ValueError(f"its names are nested {depth} deep, and no UNet has that many levels")
    batch = any(key.endswith("running_mean") for key in state)
    out = state["model.model.3.weight"].shape[1]
    return UNetGenerator(first.shape[1], width=first.shape[0], halvings=depth, batch_norm=batch,
                         out_channels=out)  # fmt: skip
