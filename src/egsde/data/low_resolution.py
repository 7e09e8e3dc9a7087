"""Low-resolution pictures to enlarge, by image id: what super-resolution must agree with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from egsde.data.beside import Beside
from egsde.data.domains import Images
from egsde.data.images import to_tensor


class LowResolution:
    """Square pictures whose side divides the images', all of one size, taken as they are.

    ValueError for others.
    """

    def __init__(self, path: str, size: int) -> None:
        self.beside, self.size = Beside("data.low", path), size
        first = self.beside.one or next(iter(self.beside.names.values()))
        self.side = self.beside.picture(first).width

    def check(self, ids: Sequence[str], images: Images) -> None:
        """ValueError where an image has no low-resolution picture."""
        self.beside.check(ids)

    def of(self, name: str, shape: tuple[int, int]) -> Tensor:
        """float32 (3, side, side) in [-1, 1]."""
        picture = self.beside.picture(name)
        if picture.size != (self.side, self.side) or self.size % self.side:
            raise ValueError(
                f"{self.beside.what}: {self.beside.file(name)} has {picture.width}x"
                f"{picture.height} pixels; all must be square, of one size that divides the "
                f"images' {self.size}, such as {self.size // 4}x{self.size // 4}"
            )
        return to_tensor(np.asarray(picture))
