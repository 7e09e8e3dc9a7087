"""What a translation can know before its first image is looked at before its first image."""

from __future__ import annotations

import tempfile
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn

from egsde.data import TwoDomains, Written
from egsde.evaluation.metrics.inception_weights import cache_folder


def look_first(data: TwoDomains, split: str, written: Written, metrics: Any) -> None:
    """ValueError for pictures, masks, names or a target that will not do; a cache is warned of.

    metrics: a Suite, or None where nothing is measured.
    """
    images: Any = data.translations(split)
    written.check(images.dataset.ids[i] for i in images.indices)
    images.dataset.look(images.indices)
    if metrics is None or metrics.has_reference(""):
        return
    data.domain("target", metrics.protocol.reference_split)
    _writable(metrics.cache)


@rank_zero_only
def _writable(cache: Any) -> None:
    folder = cache or cache_folder() / "features"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        rank_zero_warn(
            f"features cannot be kept in {folder} ({error}), so each run computes them again; "
            "XDG_CACHE_HOME or metrics.cache names another folder"
        )
