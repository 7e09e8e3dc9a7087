"""The codec of a run: trainings and translators in its space, and networks that belong to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import open_dict
from torch import nn

from egsde.codecs import Latent
from egsde.data.fits import sides
from egsde.methods.diffusion import Translator, networks_of
from egsde.networks.sizes import sides_of
from egsde.programs.build import Parts

PIXELS = "identity"


def translator_of(parts: Parts) -> Translator:
    """`translator` in the space of `codec`; ValueError where a network was trained in another."""
    codec = parts("codec")
    mark = PIXELS if codec is None else codec.mark
    if mark != PIXELS and parts.cfg.translator.get("clip"):
        with open_dict(parts.cfg):
            parts.cfg.translator.clip = False  # latents are not bound to [-1, 1]
    translator = parts("translator")
    for network in networks_of(translator).values():
        for part in network.modules():
            record = getattr(part, "record", None) or {}
            if record and record.get("space", PIXELS) != mark:
                raise ValueError(
                    f"{record['file']} was trained in the space of codec {record['space']}, and "
                    f"this run has {mark}; give the codec= of its training"
                    if "space" in record
                    else f"{record['file']} was trained on pixels, and this run has codec {mark}; "
                    "leave codec= out, or train it with this codec="
                )
    return translator if mark == PIXELS else Latent(translator, codec)


def refuse_latents(networks: Iterable[nn.Module]) -> None:
    """ValueError for a network of latents where images are measured as they are."""
    for part in (part for network in networks for part in network.modules()):
        record = getattr(part, "record", None) or {}
        if "space" in record:
            raise ValueError(
                f"{record['file']} was trained on latents, and the likelihood is that of pixels; "
                "an LSGM's bound on it is val/loss of its training"
            )


def train_in(parts: Parts, module: Any, data: Any) -> None:
    """Give the module its codec, if any; ValueError where the network does not fit."""
    codec = parts("codec")
    if codec is None or codec.mark == PIXELS:
        return
    if getattr(module, "own_latents", False):
        raise ValueError(
            f"{type(module).__name__} makes its own latents of pixels; leave codec= out"
        )
    with torch.no_grad():
        shape = codec.encode(torch.zeros(1, data.channels, *sides(data.size))).shape
    wanted, got = shape[1], getattr(module.network, "in_channels", shape[1])
    right = shape[-1] if shape[-2] == shape[-1] else f"[{shape[-2]},{shape[-1]}]"
    side = getattr(module.network, "image_size", tuple(shape[-2:]))
    if got % wanted or sides_of(side) != tuple(shape[-2:]):
        raise ValueError(
            f"the codec makes latents of {wanted} x {shape[-2]} x {shape[-1]} of images of "
            f"{data.size} px, and the network takes {got} channels of {side} px; add "
            f"network.image_size={right} ++network.in_channels={wanted} "
            f"++network.out_channels={wanted}"
        )
    module.codec, module.recorded = codec, module.recorded | {"space": codec.mark}
    rank_zero_only(print)(
        f"in the space of codec {codec.mark}: {wanted} x {shape[-2]} x {shape[-1]}"
    )
