"""The codec of a run: trainings and translators in its space, and networks that belong to it."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from egsde.codecs import Latent
from egsde.data.fits import sides
from egsde.methods.diffusion import Translator, networks_of
from egsde.programs.build import Parts

PIXELS = "identity"


def translator_of(parts: Parts) -> Translator:
    """`translator` in the space of `codec`; ValueError where a network was trained in another."""
    translator, codec = parts("translator"), parts("codec")
    mark = PIXELS if codec is None else codec.mark
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


def train_in(parts: Parts, module: Any, data: Any) -> None:
    """Give the module its codec, if any; ValueError where the network does not fit."""
    codec = parts("codec")
    if codec is None or codec.mark == PIXELS:
        return
    with torch.no_grad():
        shape = codec.encode(torch.zeros(1, data.channels, *sides(data.size))).shape
    wanted, got = shape[1], getattr(module.network, "in_channels", shape[1])
    side = getattr(module.network, "image_size", shape[-1])
    if got % wanted or side != shape[-1]:
        raise ValueError(
            f"the codec makes latents of {wanted} x {shape[-2]} x {shape[-1]} of images of "
            f"{data.size} px, and the network takes {got} channels of {side} px; add "
            f"network.image_size={shape[-1]} ++network.in_channels={wanted} "
            f"++network.out_channels={wanted}"
        )
    module.codec, module.recorded = codec, module.recorded | {"space": codec.mark}
    rank_zero_only(print)(
        f"in the space of codec {codec.mark}: {wanted} x {shape[-2]} x {shape[-1]}"
    )
