"""The folder of a run's translations: a file counts only where it is what the run would make.

mark = hash(run: configuration and networks; image: id and inputs; result: pixels) stands in a
PNG's text, or in out/made for files of other kinds, so a picture that was changed, exchanged or
copied from elsewhere is no result.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from egsde.data import Written
from egsde.data.alike import Made, Pngs, Writer, holds_text, write
from egsde.disk import appending, found_object, whole

BESIDE = ("id", "truth")  # what a batch holds that makes no pixel: the id is hashed by itself


def mark(recipe: str, name: str, inputs: Mapping[str, Any], pixels: Tensor) -> str:
    """The hash of one image: recipe of the run, id, its rows of the batch's tensors, its result."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([recipe, name]).encode())
    tensors = {k: v for k, v in inputs.items() if k not in BESIDE and isinstance(v, Tensor)}
    for key, value in sorted({**tensors, "pixels": pixels}.items()):
        digest.update(json.dumps([key, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Seconds:
    """Seconds of each image in `seconds.csv`, a row when it is made, so that no cut loses them.

    suffix: of the file's name, for a command that shares the folder; all such files are read.
    """

    def __init__(self, out: Path, suffix: str = "") -> None:
        self.path = out / f"seconds{suffix}.csv"
        self.of: dict[str, float] = {}
        for path in sorted(out.glob("seconds*.csv")):
            text = path.read_bytes().decode(errors="replace")
            rows = text[: text.rfind("\n") + 1]  # a kill may leave half a row, half a number
            with contextlib.suppress(csv.Error):  # a cell without end
                for row in csv.reader(io.StringIO(rows, newline="")):
                    if len(row) == 2:
                        self.of[row[0]] = _number(row[1])

    def add(self, names: Sequence[str], each: float) -> None:
        self.of |= dict.fromkeys(names, each)
        with appending(self.path) as file:
            csv.writer(file, lineterminator="\n").writerows([n, f"{each:.6g}"] for n in names)

    def mean(self, names: Sequence[str]) -> float | None:
        """The mean over those of the images whose seconds are known."""
        known = [self.of[name] for name in names if self.of.get(name, -1) >= 0]
        return sum(known) / len(known) if known else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


class Shelf:
    """recipe: the hash of what all images of the run share; suffix: see `Seconds`."""

    def __init__(
        self, written: Written, recipe: str, suffix: str = "", writer: Writer | None = None
    ) -> None:
        self.written, self.recipe = written, recipe
        self.seconds = Seconds(written.out, suffix)
        self.writer: Writer = writer or Pngs()

    def load(self, name: str, inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, int]] | None:
        """Pixels and evaluations of an image; None where the file is not what the run makes."""
        path = self.path(name)
        found = self.writer.read(name, path)
        if found is None:
            return None
        pixels, text = found
        if not holds_text(path):
            text = found_object(self.record(name))
        right = text.get("made") == mark(self.recipe, name, inputs, pixels)
        return (pixels, json.loads(text["nfe"])) if right else None

    def save(
        self, name: str, inputs: Mapping[str, Tensor], made: Made, nfe: dict[str, int]
    ) -> None:
        text = {"nfe": json.dumps(nfe), "made": mark(self.recipe, name, inputs, made.seen)}
        path = self.path(name)
        write(made, path, text)
        if not holds_text(path):
            with whole(self.record(name)) as temporary:
                temporary.write_text(json.dumps(text), encoding="utf-8")

    def record(self, name: str) -> Path:
        """Where the mark of a file stands that holds no text."""
        place = self.written.path(name).relative_to(self.written.home(name))
        return self.written.out / "made" / f"{place.as_posix()}.json"

    def path(self, name: str) -> Path:
        """Where an image is written; ValueError where a link or a name leads out of the folder."""
        path, images = self.written.path(name), self.written.home(name)
        top = Path(os.path.realpath(images.parent)) / images.name
        if Path(os.path.realpath(path.parent)) != top / path.relative_to(images).parent:
            raise ValueError(
                f"{path.parent} is or holds a link that leads out of the run's images; use another "
                "out= folder, or remove the link"
            )
        return path
