"""Images of one domain, degraded, with the clean ones as the truth: what restoration translates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from egsde.data.degradations import Degradation
from egsde.data.domains import Images, look
from egsde.data.views import picture
from egsde.noise import keyed_generator


class Restorations(Dataset):
    """dict(id, x0: what is left, truth: the clean image, mask: 1 = known pixel, all 0 for none).

    How an image is degraded depends on (seed, id) only.
    """

    def __init__(self, images: Images, degradation: Degradation, seed: int = 0) -> None:
        self.images, self.ids = images, images.ids
        self.degradation, self.seed = degradation, seed

    def look(self, chosen: Sequence[int], mine: Sequence[int] = ()) -> None:
        """See `domains.look`."""
        look(self.images, chosen, mine)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        name, truth = self.ids[index], picture(self.images, index)
        generator = keyed_generator("degradation", self.seed, name)
        degraded = self.degradation(truth, generator)
        return {"id": name, "x0": degraded.condition, "truth": truth, "mask": degraded.known}
