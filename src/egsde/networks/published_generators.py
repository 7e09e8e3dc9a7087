"""Generators of pytorch-CycleGAN-and-pix2pix and of CUT from their published weights.

Those files hold a state dict and no configuration; the shapes tell which network it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from egsde.networks.official import check_fit
from egsde.networks.resnet_generator import ResNetGenerator
from egsde.networks.unet_generator import UNetGenerator

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
    if "model.1.weight" in state and state["model.1.weight"].ndim == 4:
        state = {DROPOUT.sub(r"\1.5.", k): v for k, v in state.items() if not _statistic(k)}
        net = _residual(state)
    elif "model.model.0.weight" in state:
        net = _unet(state)
    else:
        raise ValueError(
            f"{name} holds no known generator: its tensors are {', '.join(list(state)[:3])} ...; "
            "a residual generator or a UNet of pytorch-CycleGAN-and-pix2pix or CUT opens"
        )
    check_fit(net.state_dict(), state, f"the generator that {name} seems to hold")
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)


def _statistic(key: str) -> bool:
    """What instance norm kept before PyTorch 0.4."""
    return key.endswith(("running_mean", "running_var", "num_batches_tracked"))


def _residual(state: Mapping[str, Tensor]) -> nn.Module:
    first = state["model.1.weight"]
    out = next(reversed([v for k, v in state.items() if k.endswith(".weight")])).shape[0]
    blocks = sum(key.endswith("conv_block.1.weight") for key in state)
    blurred = any(key.endswith(".filt") for key in state)
    return ResNetGenerator(first.shape[1], width=first.shape[0], blocks=blocks, antialias=blurred,
                           out_channels=out)  # fmt: skip


def _unet(state: Mapping[str, Tensor]) -> nn.Module:
    first = state["model.model.0.weight"]
    depth = max(key.count("model.") for key in state) - 1
    batch = any(key.endswith("running_mean") for key in state)
    out = state["model.model.3.weight"].shape[1]
    return UNetGenerator(first.shape[1], width=first.shape[0], halvings=depth, batch_norm=batch,
                         out_channels=out)  # fmt: skip
