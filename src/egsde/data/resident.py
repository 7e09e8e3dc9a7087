"""Training pictures kept on the training device as bytes: a batch carries places, not pixels.

A small network on a GPU waits for nothing but its data; decoding, mirroring and copying of pictures
one by one would be most of a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from egsde.data.shards import Draw
from egsde.data.views import View


class Resident:
    """A view's pictures, and batches dict(id, place, flipped, label) that point at them.

    For the loader in the place of the view: same sizes and counts, same draws. Memory: n C S S
    bytes.
    """

    def __init__(self, view: View) -> None:
        self.sizes, self.counts = view.sizes, view.counts
        self.ids = [images.ids for images in view.domains]
        self.first = np.cumsum([0, *(len(ids) for ids in self.ids)])
        arrays = [images.array(i) for images in view.domains for i in range(len(images.ids))]
        self.bytes = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()

    def __getitem__(self, draw: Draw) -> Draw:
        return draw

    def collate(self, draws: list[Draw]) -> dict[str, Any]:
        """Places (B,) of the images in memory, in the stead of pixels."""
        labels, indices, flipped = zip(*draws, strict=True)
        return {
            "id": [self.ids[k][i] for k, i in zip(labels, indices, strict=True)],
            "place": torch.tensor(indices) + torch.tensor(self.first[list(labels)]),
            "flipped": torch.tensor(flipped),
            "label": torch.tensor(labels),
        }

    def shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The view's own batch, from one of places."""
        place, flipped, label = (batch.pop(name) for name in ("place", "flipped", "label"))
        images = self.images(place, flipped)
        if len(self.ids) > len(self.sizes):  # pairs: one stream through both domains
            return batch | {"x": images, "y": self.images(place + self.sizes[0], flipped)}
        return batch | {"image": images} | ({"label": label} if len(self.sizes) > 1 else {})

    def images(self, place: Tensor, flipped: Tensor) -> Tensor:
        """float32 (B, C, S, S) in [-1, 1] on the device of `place`, mirrored where asked."""
        if self.bytes.device != place.device:
            self.bytes = self.bytes.to(place.device)
        images = self.bytes[place]
        if not images.is_floating_point():
            images = images.float().div_(127.5).sub_(1.0)
        return torch.where(flipped[:, None, None, None], images.flip(-1), images)
