"""What a number of our parts may be, by the last part of its key, where its type does not say it.

Bounds that depend on anything else are asked by the part itself when it is made.
"""

from __future__ import annotations

from typing import Any

COUNTS = (
    "batch_size", "blocks", "ch", "channels", "codes", "columns", "count", "depth",
    "eval_batch_size", "evaluations", "factor", "image_size", "in_channels", "keys",
    "levels", "limit", "num_channels", "num_class", "num_classes", "num_res_blocks",
    "out_channels", "pairwise_size", "patches", "repeats", "resamples", "samples", "travels",
    "segments", "size", "steps", "train_limit", "train_size", "width", "z_channels",
)  # fmt: skip
FROM_ZERO = (
    "atol", "blur", "cache_mib", "commitment", "corrector", "cycle", "eta", "features",
    "gain", "kl", "lr", "num_workers", "octaves", "perceptual", "pool", "power", "ramp",
    "refinements",
    "report", "rtol", "s_churn", "s_noise", "s_tmax", "s_tmin", "seed", "self_training", "t_lo",
    "tau", "trajectory", "until", "wait", "warmup", "weight", "weight_decay",
)  # fmt: skip
SHARES = (  # [0, 1]
    "cutmix", "drop", "held", "one_side", "outside", "probability", "refine", "release", "share",
    "t_first", "t_last", "t_start",
)  # fmt: skip
ABOVE_ZERO = ("channel_mult", "ch_mult")  # every entry
MOST = {"steps": 10**6, "levels": 10**6, "size": 2**15, "image_size": 2**15,
        "batch_size": 2**20, "eval_batch_size": 2**20, "num_workers": 2**12,
        "seed": 2**32 - 1}  # fmt: skip
OURS = ("egsde.", "torch.optim.")


def out_of_bounds(name: str, value: float, target: str | None, whole: bool) -> str | None:
    """What is wrong with a number under the last part of its key; None where nothing is.

    target: what the number is handed to, None for the program itself. whole: it takes no fraction.
    """
    if (target is not None and not target.startswith(OURS)) or (name in COUNTS and not whole):
        return None
    least = 2 if name == "kid_subset" else 1 if name in COUNTS else 0
    if value < least and (least or name in FROM_ZERO or name in SHARES):
        return f"is too small; the least is {least}"
    if value > (most := 1 if name in SHARES else MOST.get(name, value)):
        return f"is too large; the most is {most}"
    return None


def told(key: str, name: str, value: Any, target: str | None, whole: bool) -> None:
    """ValueError for a number that is out of bounds, by its key."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if wrong := out_of_bounds(name, value, target, whole):
        raise ValueError(f"{key}={value} {wrong}")


def entry_told(key: str, value: Any) -> None:
    """ValueError for an entry of a list, key[index], that is out of bounds."""
    name = key.partition("[")[0].rpartition(".")[2]
    if name in ABOVE_ZERO and isinstance(value, (int, float)) and value <= 0:
        raise ValueError(f"{key}={value} is too small; it has to be more than 0")
