"""A translation dealt out to independent commands: `shard=3/64` on any scheduler, then a merge.

An image belongs to the shard hash(id) mod count, whatever the machine, order or limit. Shards share
one out=, need not know of each other, and one that is started again makes what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 0, of `count`."""

    index: int
    count: int

    def has(self, name: str) -> bool:
        """Whether an image is of this part: by the hash of its name."""
        return place(name, self.count) == self.index

    @property
    def suffix(self) -> str:
        """What tells this shard's own files from those of the others."""
        return f"-{self.index}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def place(name: str, count: int) -> int:
    """Which of `count` parts an image is of."""
    digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


def parsed(text: str | None) -> Shard | None:
    """ "3/64" -> Shard(3, 64); None for null and for "merge"; ValueError for anything else."""
    if text is None or text == "merge":
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", str(text))
    if match is None or int(match[1]) >= int(match[2]):
        raise ValueError(
            f"shard={text} is none: give K/N with K from 0 to N - 1, shard=0/4 for the first of "
            "four; shard=merge measures when all are done"
        )
    return Shard(int(match[1]), int(match[2]))


def refuse_missing(missing: Sequence[str], total: int, count: int | None) -> None:
    """ValueError where images are missing; it names their shards where their count is known."""
    if not missing:
        return
    again = "the same command, without shard=, makes them"
    if count:
        lost = sorted({place(name, count) for name in missing})
        again = "start again " + ", ".join(f"shard={k}/{count}" for k in lost[:8])
        again += ", ..." if len(lost) > 8 else ""
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    raise ValueError(f"{len(missing)} of {total} images are missing ({shown}); {again}")
