"""PatchNCE (CUT, Park 2020, arXiv 2007.15651): a patch of the translation is that of the source.

Of the unit features q_i of the translation's patches and k_j of the source's,

    loss_i = -log exp(q_i k_i / tau) / (exp(q_i k_i / tau) + exp(-10 / tau)
                                         + sum over other j of exp(q_i k_j / tau)).

The term exp(-10 / tau) is the official code's masked diagonal, and zero for any practical purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from egsde.training.adversarial.terms import Round


def patch_nce(q: Tensor, k: Tensor, images: int, tau: float = 0.07) -> Tensor:
    """Losses (N,) of unit features (N, C), `images` of equally many patches one after the other;
    only patches of the same image are each other's negatives."""
    q, k = q.unflatten(0, (images, -1)), k.detach().unflatten(0, (images, -1))
    right = (q * k).sum(2, keepdim=True)
    same = torch.eye(q.shape[1], dtype=torch.bool, device=q.device)
    wrong = (q @ k.transpose(1, 2)).masked_fill(same, -10.0)
    logits = torch.cat([right, wrong], 2).flatten(0, 1) / tau
    first = torch.zeros(len(logits), dtype=torch.long, device=q.device)
    return F.cross_entropy(logits, first, reduction="none")


@dataclass(frozen=True)
class PatchNCE:
    """Between to_y(x) and x and, if `identity`, to_y(y) and y, half of each then (CUT).

    layers: of the generator, 0 the padded image. patches: places of an image, anew in each layer.
    The heads are the module's.
    """

    weight: float = 1.0
    identity: bool = True
    layers: Sequence[int] = (0, 4, 8, 12, 16)
    patches: int = 256
    tau: float = 0.07

    def __call__(self, now: Round) -> Tensor:
        loss = self.between(now, now.x, now.made_y, now.flipped)
        if self.identity:
            loss = (loss + self.between(now, now.y, now.same_y, now.flipped)) / 2
        return loss

    def between(self, now: Round, source: Tensor, made: Tensor, flipped: bool) -> Tensor:
        """Mean over layers, images and patches. flipped: the generator saw the mirrored source."""
        generator, heads = now.networks["to_y"], now.networks["heads"]
        theirs = generator.features(made, self.layers)
        with torch.no_grad():
            own = generator.features(source, self.layers)
        losses = []
        for number, (q, k) in enumerate(zip(theirs, own, strict=True)):
            q = q.flip(3) if flipped else q
            count = min(self.patches, q.shape[2] * q.shape[3])
            order = torch.randperm(q.shape[2] * q.shape[3], generator=now.common)
            chosen = order[:count].to(q.device)
            q, k = (f.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1) for f in (q, k))
            losses.append(patch_nce(heads(number, q), heads(number, k), len(made), self.tau).mean())
        return torch.stack(losses).mean()
