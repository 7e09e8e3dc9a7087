"""What each number of a table means, in a sentence, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MEANINGS = {
    "fid": "Distance of the translations' Inception features to those of real target images, as "
    "Gaussians; 0 is best. Biased upwards for few images: compare with the floor.",
    "kid": "The same features, compared by a polynomial kernel without bias; near 0 is best.",
    "kid_se": "Standard error of KID.",
    "precision": "Share of translations that lie among real target images; 1 is best.",
    "recall": "Share of real target images that lie among the translations; 1 is best.",
    "isc": "Inception score: sharp and varied classes; high is best.",
    "domain": "Share that an independent classifier takes for the target; 1 is best.",
    "l2": "Distance to the source in pixel values of [0, 1], a root of summed squares; small keeps "
    "the source.",
    "psnr": "Peak signal-to-noise ratio to the source in dB; high keeps the source.",
    "ssim": "Structural similarity to the source; 1 is the source itself.",
    "ms_ssim": "Structural similarity to the source over several scales; 1 is the source itself.",
    "flicker": "Mean change between neighbours of a series less that of their sources; 0 is still.",
    "outside": "Share of translations whose denoising error is outside of the range of real target "
    "images; the share that outside= gives is what real ones have.",
    "input_outside": "Share of the images given whose denoising error is outside of the range of "
    "the source's validation images: the networks may not know them.",
    "lpips": "Distance of deep features to the source; 0 is the source itself.",
    "tint": "Shift of the mean colour in CIELAB; 0 keeps it.",
    "noise": "High-frequency energy; well above the target's own is noise that was left.",
    "mse": "Mean squared difference to the source.",
    "mae": "Mean absolute difference to the source.",
    "uqi": "Universal quality index to the source; 1 is the source itself.",
}
BETTER = {  # -1: lower, 1: higher; what is not here is told without a judgement
    "fid": -1, "kid": -1, "precision": 1, "recall": 1, "isc": 1, "domain": 1, "l2": -1,
    "psnr": 1, "ssim": 1, "ms_ssim": 1, "lpips": -1, "tint": -1, "mse": -1, "mae": -1, "uqi": 1,
    "outside": -1,
}  # fmt: skip


def meaning(name: str) -> str:
    """Of a number by its name, those to the truth, too."""
    for suffix, told in (
        ("_truth", "to the truth"),
        ("_truth_source", "of the source, to the truth"),
    ):
        base = name.removesuffix(suffix)
        if base != name and base in MEANINGS:
            words = MEANINGS[base].split(";")[0].rstrip(".")
            return f"{words.replace(' to the source', '')}, measured {told}."
    return MEANINGS.get(name, f"Mean over the images of what the configuration calls {name}.")


def better(name: str) -> int:
    """-1 where lower is better, 1 where higher is, 0 where that is not known."""
    return BETTER.get(name.removesuffix("_truth"), 0)


def grouped(names: Iterable[str]) -> dict[str, Mapping[str, str]]:
    """Each number with those that stand beside it: the untouched source's and the floor."""
    known = list(dict.fromkeys(names))
    beside = {f"{name}{end}": (name, end) for name in known for end in ("_source", "_floor")}
    found: dict[str, dict[str, Any]] = {
        n: {} for n in known if n not in beside or beside[n][0] not in known
    }
    for name in known:
        if name in beside and beside[name][0] in found:
            base, end = beside[name]
            found[base][end] = name
    return dict(found)
