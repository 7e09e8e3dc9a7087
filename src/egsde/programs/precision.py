"""trainer.precision: what a program makes of it, told where that is not what the word says.

Training keeps its weights and their average in float32 (or float64); networks of the other programs
compute in float32 or, by autocast, in bfloat16. The Trainer's own autocast would round an energy's
or a solver's arithmetic, too.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from omegaconf import DictConfig, open_dict

WHOLE = ("32-true", "32", "None")
ROUNDED = ("bf16-mixed", "bf16", "bf16-true")
HALF_WEIGHTS = ("bf16-true", "16-true")
HALF = ("16-mixed", "16")
DOUBLE = ("64-true", "64")


def check_training(cfg: DictConfig) -> None:
    """ValueError for a precision in which a training would stand still, or another would run."""
    trainer, asked = cfg.trainer, str(cfg.trainer.get("precision"))
    if asked in DOUBLE and cfg.get("translate") is not None:
        raise ValueError(
            f"trainer.precision={asked} trains in float64, and a validation translates in float32; "
            "add translate=null, or use trainer.precision=32-true"
        )
    if asked in HALF_WEIGHTS:
        raise ValueError(
            f"trainer.precision={asked} would keep the weights and their average in 16 bits, which "
            "small steps do not move; use trainer.precision=bf16-mixed, or 32-true"
        )
    if asked.startswith("transformer-engine"):
        raise ValueError(
            f"trainer.precision={asked} needs networks made of Transformer Engine's layers, and "
            "there are none here; use trainer.precision=bf16-mixed, or 32-true"
        )
    if asked in HALF and on_cpu(trainer):
        raise ValueError(
            f"trainer.precision={asked} needs a GPU: on a CPU bfloat16 would run in its place; use "
            "trainer.precision=bf16-mixed, or 32-true"
        )


def settle(program: str, cfg: DictConfig, parts: Iterable[str]) -> None:
    """Write bf16-mixed and bf16-true into the networks of `parts`; ValueError for another."""
    asked = str(cfg.trainer.get("precision"))
    if asked in WHOLE:
        return
    if asked not in ROUNDED:
        raise ValueError(
            f"trainer.precision={asked} has no meaning in {program}.py, "
            "which computes in float32 (32-true) or with bfloat16 networks (bf16-mixed)"
        )
    if asked == "bf16-true":
        rank_zero_warn(
            "trainer.precision=bf16-true is bf16-mixed here: networks compute in bfloat16, and "
            "their weights stay float32"
        )
    if on_cpu(cfg.trainer) and not torch.cpu._is_amx_tile_supported():
        rank_zero_warn(
            f"trainer.precision={asked}: this CPU does not multiply bfloat16, so that networks "
            "compute in float32"
        )
    with open_dict(cfg):
        cfg.trainer.precision = "bf16-mixed"
        for name in parts:
            if isinstance(cfg.get(name), DictConfig) and "autocast" in cfg[name]:
                with open_dict(cfg[name]):
                    cfg[name].autocast = True


def on_cpu(trainer: DictConfig) -> bool:
    """Whether the Trainer of this configuration takes the CPU."""
    asked = str(trainer.get("accelerator", "auto"))
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    return asked == "cpu" or (asked == "auto" and not there)
