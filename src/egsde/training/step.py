"""What a step is made of beside its module: a run that goes on has as many images in each, and
says where it draws them from others.

images = data.batch_size x processes x accumulate_grad_batches, so that 1 x 8 goes on as 2 x 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_warn


def made_of(trainer: Any) -> dict[str, Any]:
    """What a checkpoint keeps of it; images: None where the data say no batch size."""
    size = getattr(getattr(trainer, "datamodule", None), "batch_size", None)
    times = trainer.world_size * trainer.accumulate_grad_batches
    return {
        "images": None if size is None else size * times,
        "trainer.precision": str(trainer.precision),
        "trainer.gradient_clip_val": trainer.gradient_clip_val,
        **_drawn_from(getattr(trainer, "datamodule", None)),
    }


def _drawn_from(data: Any) -> dict[str, str]:
    """Each domain's images by number and names, from which those of every step are drawn."""
    if not hasattr(data, "shown"):
        return {}
    shown, extra = data.shown("train"), (f"data.extra {k}" for k in range(len(data.extra)))
    keys = ["data.source", *extra, "data.target"][-len(shown) :]
    names = ["\n".join(images.ids).encode("utf-8", "surrogateescape") for images in shown]
    digests = [blake2b(text, digest_size=4).hexdigest() for text in names]
    return {
        key: f"{len(images.ids)} images (names {digest})"
        for key, images, digest in zip(keys, shown, digests, strict=True)
    }


def go_on(step: int, before: Mapping[str, Any], trainer: Any) -> None:
    """Warns of what differs from the run before, or where nothing is left to do. ValueError for
    another number of images in a step."""
    now = made_of(trainer)
    was, images = before.get("images"), now["images"]
    if was is not None and images is not None and was != images:
        raise ValueError(
            f"a step of the run before has {was} images, and would now have {images} "
            f"(data.batch_size={trainer.datamodule.batch_size} x {trainer.world_size} processes x "
            f"trainer.accumulate_grad_batches={trainer.accumulate_grad_batches}); give a "
            f"data.batch_size with which it has {was}, another out= folder, or resume=null to "
            "start anew"
        )
    for key in now.keys() - {"images"}:
        if before.get(key, now[key]) != now[key]:
            rank_zero_warn(f"{key} was {before[key]}, is {now[key]}: from step {step} on")
    if 0 <= trainer.max_steps < step:
        rank_zero_warn(
            f"step {step} is past trainer.max_steps={trainer.max_steps}: nothing is trained, and "
            f"the weights are those of step {step}"
        )
