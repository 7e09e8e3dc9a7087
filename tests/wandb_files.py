"""Reads what an offline W&B run wrote: a LevelDB log of protocol buffers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK = 32768  # records are cut where a block ends
HEADER = struct.Struct("<IHB")  # checksum, length, kind: 1 whole, 2 first, 3 middle, 4 last


@dataclass
class Run:
    """One run: its id, configuration, history rows, and exit code (None: never finished)."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)  # in the run's artifacts, by their names
    exit_code: int | None = None


def records(path: Path) -> list[bytes]:
    content, place, found, joined = path.read_bytes(), 7, [], b""
    while place + HEADER.size <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER.size:
            place += left
            continue
        _, length, kind = HEADER.unpack_from(content, place)
        place += HEADER.size
        joined += content[place : place + length]
        place += length
        if kind in (1, 4):
            found.append(joined)
            joined = b""
    return found


def nested(items: Iterable[Any]) -> dict[str, Any]:
    """The values of items with a key, or with the path to it through dictionaries."""
    found: dict[str, Any] = {}
    for item in items:
        *outer, last = list(item.nested_key) or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return found


def read_run(path: Path) -> Run:
    """The run in a file run-<id>.wandb."""
    from wandb.proto import wandb_internal_pb2

    run = Run()
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id = record.run.run_id or run.id
            run.name, run.group = record.run.display_name, record.run.run_group
            run.job_type, run.tags = record.run.job_type, list(record.run.tags)
            run.config |= nested(record.run.config.update)
        elif kind == "config":
            run.config |= nested(record.config.update)
        elif kind == "history":
            run.history.append(nested(record.history.item))
        elif kind == "artifact":
            contents = record.artifact.manifest.contents
            run.files |= {entry.path: Path(entry.local_path) for entry in contents}
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run
