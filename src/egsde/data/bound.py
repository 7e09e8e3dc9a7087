"""A volume or clip on its own, translated: the container that it came in, with other numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from egsde.data.alike import Alike
from egsde.data.containers.base import cut_of
from egsde.data.containers.entries import is_dicom, reader_of
from egsde.data.containers.names import is_slice, place_of
from egsde.data.file_images import FileImages
from egsde.data.files import Folder
from egsde.data.fits import Size
from egsde.data.images import to_tensor
from egsde.data.one import one_picture
from egsde.data.rasters import range_of
from egsde.data.series import Keys
from egsde.disk import whole

Translate = Callable[[Tensor, Any], Tensor]  # (B, C, H, W), noise -> like it
TIFFS = (".tif", ".tiff")


@dataclass(frozen=True)
class Bound:
    """A translated container: `array` (N, H, W, C), the slices that were translated, in the
    source's type and range; files: its bytes by their paths from its place, "." for a single one;
    suffixes: how the names of its kind end, none for a folder."""

    array: np.ndarray
    files: Mapping[str, bytes]
    suffixes: Sequence[str]

    def save(self, path: str | Path) -> None:
        """Write it: a file, or a folder of DICOM files; ValueError for a name of another kind."""
        place = Path(path).expanduser()
        if self.suffixes and not place.name.lower().endswith(tuple(self.suffixes)):
            known = " or ".join(self.suffixes)
            raise ValueError(f"{place} is of another kind than its source; end its name in {known}")
        for below, content in self.files.items():
            file = Path(os.path.normpath(place / below))
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole(file) as temporary:
                temporary.write_bytes(content)


def series_in(
    path: Path, size: Size, data: Mapping[str, Any], ends: Any = None
) -> FileImages | None:
    """The slices of a container, read by the keys of data; None for a file of one picture.

    ends: the range where data have none. ValueError for a folder of other things than one volume.
    """
    named = path.is_dir() or reader_of(path.name) is not None
    if not named and not is_dicom(Folder(path.parent), path.name):
        return None
    fit, channels, given = data.get("fit", "crop"), data.get("channels", 3), data.get("range")
    scale = range_of(ends if given is None else given)
    cut = cut_of(data.get("axis"), data.get("slices"), channels)
    images = one_picture(str(path), size, fit, channels, scale, cut)
    series = {place_of(name)[0] if is_slice(name) else None for name in images.ids}
    if len(series) > 1 or (path.is_dir() and None in series):
        raise ValueError(
            f"{path} is no single volume, it holds {len(images.ids)} pictures; translate one at a "
            f"time, or all by sample.py data=folder data.source={path}"
        )
    return None if None in series else images


def translated(
    images: FileImages, translate: Translate, data: Mapping[str, Any], seed: int
) -> Bound:
    """All slices, under the noise that the command line gives them, bound again."""
    images.look(range(len(images.ids)), range(len(images.ids)))
    keys, alike = Keys(data.get("series")), Alike(images, restore=True)
    batch = int(data.get("eval_batch_size") or 1)
    made: dict[str, np.ndarray] = {}
    for first in range(0, len(images.ids), batch):
        names = images.ids[first : first + batch]
        x = torch.stack([to_tensor(images.array(first + k)) for k in range(len(names))])
        y = translate(x, keys.noise(seed, names, images))
        made |= {n: alike.made(n, one).raster.pixels for n, one in zip(names, y, strict=True)}
    files: Any = images.files
    first_name = images.ids[0]
    numbered = {place_of(name)[1]: pixels for name, pixels in made.items()}
    place = place_of(first_name)[0]
    bound = files.bound(images.paths[first_name], numbered)
    suffixes = _suffixes(place) if "." in bound else ()
    return Bound(np.stack(list(made.values())), bound, suffixes)


def _suffixes(place: str) -> Sequence[str]:
    reader, name = reader_of(place), place.lower()
    if reader is None:  # DICOM, which may have none
        return tuple(filter(None, [PurePosixPath(name).suffix]))
    suffix = max((s for s in reader.suffixes if name.endswith(s)), key=len)
    return TIFFS if suffix in TIFFS else (suffix,)
