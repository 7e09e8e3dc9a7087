"""Folders that are measured: sources, outputs, truths paired by name, and the target's images.

Pictures are taken as they lie in their files, converted to 8-bit sRGB, or as numbers of a range
where other channels or a range are asked for. Where an output is of
another size than its source, source and truth are brought to the output's size by `fit` (crop:
short side and centre, as sample.py cuts its sources; pad; stretch; refuse), and the target's images
to the size that all outputs share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from torch import Tensor

from egsde.data.pairing import paired, refuse_missing, shown
from egsde.data.piles import Pile, Size, reader_of
from egsde.data.rasters import range_of

FITS = ("crop", "pad", "stretch", "refuse")


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
        """y, x0 and truth, (1, C, H, W) each, of one size; uint8, or float32 in [-1, 1]."""
        reader = self.output.reader
        y = self.output.picture(self.outputs[name])
        size, x0, truth = reader.size(y), None, None
        if self.source is not None:
            x0 = reader.tensor(reader.fitted(self.source.picture(name), size, self.fit))
        if self.truth is not None:
            there = self.truth.picture(self.truths[name])
            truth = reader.tensor(reader.fitted(there, size, self.fit))
        return reader.tensor(y), x0, truth

    def real(self, name: str, as_it_is: bool) -> Tensor:
        """A target image (1, C, H, W)."""
        assert self.target is not None
        reader, picture = self.target.reader, self.target.picture(name)
        if as_it_is or self.size is None:
            return reader.tensor(picture)
        return reader.tensor(reader.fitted(picture, self.size, self.fit))

    def rows(self) -> list[dict[str, str]]:
        """files.csv: where the pictures of each id lie."""
        rows = []
        for name, file in self.outputs.items():
            row = {"id": name, "output": self.output.place(file)}
            row |= {"source": self.source.place(name)} if self.source else {}
            row |= {"truth": self.truth.place(self.truths[name])} if self.truth else {}
            rows.append(row)
        return rows


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
    channels: int = 3,
    range: Sequence[float] | None = None,
) -> Compared:
    """Folders as they are measured; every picture of the output and its source is opened once.

    partial: measure those of the sources that have an output. channels, range: of the files, and
    which of their numbers are black and white. ValueError names what is missing,
    belongs to nothing, cannot be read, or has a size of its own.
    """
    if fit not in FITS:
        raise ValueError(f"fit={fit} is unknown; use one of {', '.join(FITS)}")
    if source is None and target is None:
        Pile("output", output, reader=reader_of(channels, range_of(range)))  # is there at all
        raise ValueError("give source=DIR, target=DIR or both: what are the outputs compared with?")
    if truth is not None and source is None:
        raise ValueError("truth=DIR pairs with the sources; give source=DIR, too")
    reader = reader_of(channels, range_of(range))
    piles = {"output": Pile("output", output, reader=reader)}
    for key, path, part in (("source", source, split), ("truth", truth, None),
                            ("target", target, split)):  # fmt: skip
        if path is not None:
            piles[key] = Pile(key, path, part, reader)
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
    sizes = {name: found.output.size(file) for name, file in found.outputs.items()}
    counted = Counter(sizes.values())
    (size, most), *others = counted.most_common()
    differ: list[str] = []
    if found.source is not None:
        differ = [n for n, s in sizes.items() if found.source.size(n) != s]
    odd = [n for n, s in sizes.items() if s != size and (n in differ or found.source is None)]
    if others and odd and found.source is not None:
        raise ValueError(
            f"{found.output.what} mixes sizes: {most} pictures have {size[0]}x{size[1]}, "
            f"{len(odd)} neither that nor their source's size ({shown(odd)}); leave those of one "
            "kind"
        )
    if differ and found.fit == "refuse":
        name = differ[0]
        theirs, mine = found.source.size(name), sizes[name]  # type: ignore[union-attr]
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
