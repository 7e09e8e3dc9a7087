"""Every translated image with its pictures and its numbers, for tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from egsde.data import TwoDomains, Written
from egsde.programs.callbacks.pictures import to_uint8


def ids_of(data: TwoDomains, split: str) -> list[str]:
    """The names of the images that are translated."""
    images = data.translations(split)
    return [images.dataset.ids[i] for i in images.indices]  # type: ignore[attr-defined]


def rows_of(
    per_image: list[dict[str, Any]], data: TwoDomains, split: str, written: Written
) -> Iterator[dict[str, Any]]:
    """dict(source, translation, truth, id, numbers ...); the translation is its file."""
    images = data.translations(split)
    places = {str(name): i for i, name in enumerate(ids_of(data, split))}
    for numbers in per_image:
        item = images[places[numbers["id"]]]
        truth = {"truth": to_uint8(item["truth"])} if "truth" in item else {}
        made = written.path(numbers["id"])
        yield {"source": to_uint8(item["x0"]), "translation": made, **truth, **numbers}


def add_columns(
    rows: list[dict[str, Any]], columns: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """The rows of images with further numbers by id; rows of their own where there are none."""
    rows = rows or [{"id": name} for name in columns]
    return [row | dict(columns.get(row["id"], {})) for row in rows]
