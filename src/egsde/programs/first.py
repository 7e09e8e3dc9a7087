"""What a translation can know before its first image, and what it can say of a folder then."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn

from egsde.data import TwoDomains, Written, output_name, output_names
from egsde.data.containers import is_slice, place_of
from egsde.evaluation.metrics.inception_weights import cache_folder
from egsde.programs.records import read_record
from egsde.programs.shards import parsed, refuse_missing


def look_first(data: TwoDomains, split: str, written: Written, metrics: Any) -> None:
    """ValueError for pictures, masks, names or a target that will not do; a cache is warned of.

    metrics: a Suite, or None where nothing is measured.
    """
    images: Any = data.translations(split)
    written.check(images.dataset.ids[i] for i in images.indices)
    images.dataset.look(images.indices)
    if metrics is None:
        return
    data.domain("target", metrics.protocol.reference_split)
    if not metrics.has_reference(""):
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


def refuse_unfinished(out: Path, data: TwoDomains, split: str) -> None:
    """ValueError where images of a merge are missing; it names their shards."""
    images: Any = data.translations(split)
    ids = [images.dataset.ids[i] for i in images.indices]
    there = Written.of(out).listed()
    names = output_names(images.dataset.ids)
    missing = [name for name in ids if not {names[name], output_name(name)} & there.keys()]
    record = out / "run.json"
    first = (
        parsed((read_record(record).get("config") or {}).get("shard")) if record.exists() else None
    )
    refuse_missing(missing, len(ids), None if first is None else first.count)


def name_foreign(written: Written, ids: Iterable[str]) -> None:
    """Warn of files in the image folder that are of none of the split's images."""
    ids = list(ids)
    expected = {*map(output_name, ids), *output_names(ids).values()}
    bound = {place_of(name)[0] for name in ids if is_slice(name)}

    def whole(path: str) -> bool:
        return "" in bound or any(path == b or path.startswith(f"{b}/") for b in bound)

    if found := [name for name in written.listed() if name not in expected and not whole(name)]:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        rank_zero_warn(
            f"{len(found)} files in {written.folder} are no translations of this run ({shown}): "
            "their sources are gone, or they were put there; no number counts them"
        )
