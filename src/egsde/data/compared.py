"""Folders that are measured: sources, outputs, truths paired by name, and the target's images.

Pictures are taken as they lie in their files, converted to 8-bit sRGB. Where an output is of
another size than its source, source and truth are brought to the output's size by `fit` (crop:
short side and centre, as sample.py cuts its sources; pad; stretch; refuse), and the target's images
to the size that all outputs share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from egsde.data.files import Files, Folder, open_files
from egsde.data.folder import Folders
from egsde.data.images import decode, square
from egsde.data.opened import UnreadableImage
from egsde.data.pairing import paired, refuse_missing, shown

FITS = ("crop", "pad", "stretch", "refuse")
Size = tuple[int, int]  # width, height


class Pile:
    """Pictures of one folder, zip or folder in a zip, at any depth; split: as data= does."""

    def __init__(self, key: str, path: str, split: str | None = None) -> None:
        self.what = f"{key}={path}"
        place = Path(path).expanduser()
        if (place / "images").is_dir() and (place / "run.json").is_file():
            place = place / "images"  # a run of sample.py
        files = open_files(place)
        if files is None:
            raise ValueError(f"{self.what} does not exist; give a folder or a zip")
        self.files: Files = files
        if split is not None:
            self.files, self.paths = Folders().paths(str(place), split)
        else:
            self.paths = {name: name for name in files.under("")}
        if not self.paths:
            raise ValueError(f"{self.what} holds no pictures that can be read")
        self.names = list(self.paths)

    def picture(self, name: str) -> Image.Image:
        """ValueError that names the file where it cannot be read."""
        try:
            return decode(self.files.read(self.paths[name]))
        except (UnreadableImage, OSError) as error:
            raise ValueError(
                f"{self.what}: {name} cannot be read ({error}); repair or remove it"
            ) from error

    def place(self, name: str) -> str:
        """The file's path, as it is recorded."""
        if isinstance(self.files, Folder):
            return str(Path(self.files.name("")).resolve() / self.paths[name])
        return f"{self.files.name('')}/{self.paths[name]}"


@dataclass(frozen=True)
class Compared:
    """Names of files by id in each folder; an id is the source's path, or the output's own."""

    output: Pile
    source: Pile | None = None
    truth: Pile | None = None
    target: Pile | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    truths: dict[str, str] = field(default_factory=dict)
    fit: str = "crop"
    size: Size | None = None  # that all outputs share
    differ: int = 0  # outputs of another size than their source

    @property
    def ids(self) -> list[str]:
        """Of the images, in order."""
        return list(self.outputs)

    def item(self, name: str) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """y, x0 and truth, uint8 (1, 3, H, W) each, of one size."""
        y = self.output.picture(self.outputs[name])
        x0 = None if self.source is None else fitted(self.source.picture(name), y.size, self.fit)
        truth = None
        if self.truth is not None:
            truth = fitted(self.truth.picture(self.truths[name]), y.size, self.fit)
        return tensor(y), *(None if p is None else tensor(p) for p in (x0, truth))  # type: ignore[return-value]

    def real(self, name: str, as_it_is: bool) -> Tensor:
        """A target image (1, 3, H, W)."""
        assert self.target is not None
        picture = self.target.picture(name)
        if as_it_is or self.size is None:
            return tensor(picture)
        return tensor(fitted(picture, self.size, self.fit))

    def rows(self) -> list[dict[str, str]]:
        """files.csv: where the pictures of each id lie."""
        rows = []
        for name, file in self.outputs.items():
            row = {"id": name, "output": self.output.place(file)}
            row |= {"source": self.source.place(name)} if self.source else {}
            row |= {"truth": self.truth.place(self.truths[name])} if self.truth else {}
            rows.append(row)
        return rows


def fitted(picture: Image.Image, size: Size, fit: str) -> Image.Image:
    """The picture at (width, height) by Pillow's bicubic; unchanged where it is of that size."""
    if picture.size == size:
        return picture
    if size[0] == size[1]:
        return Image.fromarray(square(picture, size[0], fit))
    way: Any = {"crop": ImageOps.fit, "pad": _padded}.get(fit, Image.Image.resize)
    return way(picture, size, Image.Resampling.BICUBIC)


def _padded(picture: Image.Image, size: Size, method: Image.Resampling) -> Image.Image:
    return ImageOps.pad(picture, size, method, color="white")


def tensor(picture: Image.Image) -> Tensor:
    """uint8 (1, 3, H, W) of a picture."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous()


def compared(
    output: str,
    source: str | None = None,
    target: str | None = None,
    truth: str | None = None,
    *,
    pattern: str | None = None,
    split: str | None = None,
    fit: str = "crop",
    partial: bool = False,
) -> Compared:
    """Folders as they are measured; every picture of the output and its source is opened once.

    partial: measure those of the sources that have an output. ValueError names what is missing,
    belongs to nothing, cannot be read, or has a size of its own.
    """
    if fit not in FITS:
        raise ValueError(f"fit={fit} is unknown; use one of {', '.join(FITS)}")
    if source is None and target is None:
        raise ValueError("give source=DIR, target=DIR or both: what are the outputs compared with?")
    if truth is not None and source is None:
        raise ValueError("truth=DIR pairs with the sources; give source=DIR, too")
    piles = {"output": Pile("output", output)}
    for key, path, part in (("source", source, split), ("truth", truth, None),
                            ("target", target, split)):  # fmt: skip
        if path is not None:
            piles[key] = Pile(key, path, part)
    outs = piles["output"]
    outputs, truths = {name: name for name in outs.names}, {}
    if source is not None:
        sources = piles["source"].names
        found = paired(sources, outs.names, outs.what, pattern)
        hint = "translate them, or partial=true measures those that are there"
        if split is None:
            hint += "; split=test takes the sources of that split alone"
        if not found or not partial:
            refuse_missing(sources, found, outs.what, hint)
        outputs = {name: found[name] for name in sources if name in found}
    if truth is not None:
        what, names = piles["truth"].what, piles["truth"].names
        others = set(piles["source"].names) - outputs.keys()
        truths = paired([*outputs, *sorted(others)], names, what)
        refuse_missing(list(outputs), truths, what, "name the truths like the sources")
    plain = Compared(outs, piles.get("source"), piles.get("truth"), piles.get("target"),
                     outputs, truths, fit)  # fmt: skip
    return _sized(plain)


def _sized(found: Compared) -> Compared:
    """With the size that all outputs share; ValueError where sizes are mixed without a reason."""
    sizes = {name: found.output.picture(file).size for name, file in found.outputs.items()}
    counted = Counter(sizes.values())
    (size, most), *others = counted.most_common()
    differ: list[str] = []
    if found.source is not None:
        differ = [n for n, s in sizes.items() if found.source.picture(n).size != s]
    odd = [n for n, s in sizes.items() if s != size and (n in differ or found.source is None)]
    if others and odd and found.source is not None:
        raise ValueError(
            f"{found.output.what} mixes sizes: {most} pictures have {size[0]}x{size[1]}, "
            f"{len(odd)} neither that nor their source's size ({shown(odd)}); leave those of one "
            "kind"
        )
    if differ and found.fit == "refuse":
        name = differ[0]
        theirs, mine = found.source.picture(name).size, sizes[name]  # type: ignore[union-attr]
        raise ValueError(
            f"{found.output.what}: {len(differ)} pictures are of another size than their source, "
            f"such as {name}: {mine[0]}x{mine[1]} and {theirs[0]}x{theirs[1]}; fit=crop, pad or "
            "stretch brings the sources to the outputs' size"
        )
    return replace(found, size=None if others else size, differ=len(differ))


def content_key(pile: Pile, names: Sequence[str], how: str) -> str:
    """A name of what the files hold, whatever they are called."""
    each = sorted(blake2b(pile.files.read(pile.paths[n]), digest_size=16).digest() for n in names)
    return f"content-{blake2b(b''.join([how.encode(), *each]), digest_size=8).hexdigest()}"
