"""The share of translations that a domain classifier takes for the target: does it translate?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egsde.scores import Extractor


@dataclass(frozen=True)
class DomainAccuracy:
    """1 where the classifier's largest logit is that of its `target`, else 0.

    extractor: a time-dependent domain classifier; images are shown to it at the smallest noise
    level of its process.
    """

    extractor: Extractor

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) -> (B,) float64 of 0 and 1."""
        network = self.extractor.to(images.device)
        t = torch.tensor(network.sde.t_noisy, dtype=torch.float64)
        logits = network(images.float() / 127.5 - 1, t)
        return (logits.argmax(1) == self.extractor.target % logits.shape[1]).double().cpu()


@torch.no_grad()
def domain_probability(extractor: Extractor, images: Tensor) -> Tensor:
    """The probability that a classifier gives to the target, of images in [-1, 1]: (B,)."""
    network = extractor.to(images.device)
    t = torch.tensor(network.sde.t_noisy, dtype=torch.float64)
    return network(images, t).softmax(1)[:, extractor.target].double().cpu()
