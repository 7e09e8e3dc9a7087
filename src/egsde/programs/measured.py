"""The range of pixels whose type says nothing of white: measured once, kept with the weights."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from egsde.data.kinds import PNG, kind_of, raster
from egsde.data.rasters import DEPTHS


def measured(data: Any) -> list[float] | None:
    """[least, greatest] number of the training files of all domains, where data.range=null and
    they are neither 8 nor 16 unsigned bits; the data know it from then on. None else."""
    files_of = getattr(data.store, "paths", None)
    if data.range is not None or files_of is None:
        return None
    least, greatest = float("inf"), float("-inf")
    for domain in dict.fromkeys(data.domains):
        files, paths = files_of(domain, "train")
        for place in paths.values():
            if kind_of(place) is PNG:
                continue
            pixels = raster(place, files.read(place), data.channels).pixels
            if pixels.dtype.name in DEPTHS:
                return None
            least, greatest = min(least, float(pixels.min())), max(greatest, float(pixels.max()))
    if not least < greatest:
        return None
    rank_zero_only(print)(f"data.range=[{least:g},{greatest:g}], measured on the training images")
    data.settle([least, greatest])
    return [least, greatest]
