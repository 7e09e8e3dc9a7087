"""Which way a logged number is better."""

from __future__ import annotations

# Of everything else the smaller.
LARGER = ("psnr", "ssim", "ms_ssim", "uqi", "domain", "precision", "recall", "isc", "accuracy")


def mode_of(name: str) -> str:
    """ "max" or "min", whichever is better of a logged number."""
    plain = name.removeprefix("val/").removeprefix("train/").split("/")[0]
    return "max" if plain.removesuffix("_truth") in LARGER else "min"
