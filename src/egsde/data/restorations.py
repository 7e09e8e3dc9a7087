"""Images of one domain, degraded, with the clean ones as the truth: what restoration translates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from egsde.data.degradations import Degradation, degrade_all
from egsde.data.domains import Images, look
from egsde.data.views import picture
from egsde.noise import keyed_generator


def degraded(batch: Any, degradation: Degradation | None, *key: object) -> Any:
    """The batch, with what a degradation leaves of its x, each image by (key, id); with the seed
    alone as the key they are those that `Restorations` shows."""
    if degradation is None or "x" not in batch:
        return batch
    generators = (keyed_generator("degradation", *key, name) for name in batch["id"])
    return {**batch, "x": degrade_all(degradation, batch["x"], generators).condition}


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
