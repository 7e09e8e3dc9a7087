"""The texts of a configuration as they were written, references and all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import Container, OmegaConf


def texts(node: Container) -> Iterator[str]:
    """Every value that is a text, with ${...} where another value is named."""
    yield from _of(OmegaConf.to_container(node, resolve=False))


def _of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _of(inner)
