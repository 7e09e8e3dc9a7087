"""Where the translations of a run lie: `out/images/NAME.png`, many of them in folders by hash.

Slices of containers lie in `out/slices`, and `out/images` has the containers made of them.

Above 10,000 images of a split file systems of clusters suffer from one folder, so an image lies in
`images/ab/NAME.png`, ab the first byte of its name's hash. Ids stay what they are. What reads a
run's images asks here, and nothing else knows of the folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from egsde.data.containers.names import is_slice
from egsde.data.domains import output_name
from egsde.data.outputs import output_names
from egsde.disk import found_object

MANY = 10_000  # images of a split above which a new run makes folders by hash
LONGEST = 255 - len("..tmp")  # bytes of a name that is written as .NAME.tmp first
KEY, DEEP = "layout", "images/ab"  # what run.json says of it


@dataclass(frozen=True)
class Written:
    """The translations of the run in `out`; deep: in folders by hash.

    names: of files by id, of the whole split; `naming` gives them. A file of before, which kept the
    suffix of its source, keeps its name.
    """

    out: Path
    deep: bool = False
    names: Mapping[str, str] = field(default_factory=dict, compare=False)

    def naming(self, ids: Iterable[str]) -> Written:
        """The same with names of files for the images of a split: `0412.png`."""
        return replace(self, names=output_names(ids))

    @classmethod
    def of(cls, out: str | Path) -> Written:
        """As the folder's run.json has it; a folder without one is flat."""
        return cls.recorded(Path(out), found_object(Path(out) / "run.json"))

    @classmethod
    def recorded(cls, out: Path, record: dict[str, Any]) -> Written:
        """As a record of run.json has it."""
        return cls(out, record.get(KEY) == DEEP)

    @property
    def folder(self) -> Path:
        """Where the translations lie."""
        return self.out / "images"

    @property
    def record(self) -> dict[str, str]:
        """What run.json keeps."""
        return {KEY: DEEP} if self.deep else {}

    def path(self, name: str) -> Path:
        """The file of an image by its id."""
        before = self.home(name) / self.place(output_name(name))
        path = self.home(name) / self.place(self.names.get(name, output_name(name)))
        return before if path != before and before.is_file() and not path.is_file() else path

    def home(self, name: str) -> Path:
        """The folder of an image's file."""
        return self.out / "slices" if is_slice(name) else self.folder

    def place(self, name: str) -> str:
        """Where in the folder a file of that name lies."""
        if not self.deep:
            return name
        text = name.encode("utf-8", "surrogateescape")
        return f"{blake2b(text, digest_size=1).hexdigest()}/{name}"

    def check(self, ids: Iterable[str]) -> None:
        """ValueError for a name that no file system takes, with what is put around it."""
        for name in ids:
            longest = max(
                output_name(name).split("/"), key=lambda part: len(part.encode("utf-8", "replace"))
            )
            if len(longest.encode()) > LONGEST:
                raise ValueError(
                    f"the name of {name} is too long for its translation, which is called "
                    f"{output_name(name)}: {len(longest.encode())} bytes, and at most {LONGEST} "
                    "go; rename it"
                )

    def listed(self) -> dict[str, Path]:
        """All files by their names (`output_name` of an id), in order; those of a cut run apart.

        What lies where no image of the run would is listed by its path: no id has that name.
        """
        found = {}
        for folder in (self.folder, self.out / "slices"):
            for path in files(folder):
                name = path.partition("/")[2] if self.deep else path
                found[name if self.place(name) == path else path] = folder / path
        return dict(sorted(found.items()))


def files(folder: Path) -> Iterator[str]:
    """Relative paths of the files and links below a folder, unfinished ones left out."""
    top = len(str(folder)) + 1
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in (*names, *links):
            if not (name.startswith(".") and name.endswith(".tmp")):
                yield os.path.join(place, name)[top:].replace(os.sep, "/")
