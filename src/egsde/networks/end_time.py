"""The time where a flow map ends, told beside the one where it begins."""

from __future__ import annotations

from torch import Tensor, nn

from egsde.networks.layers import cos_sin_embedding, zero


class EndTime(nn.Module):
    """zero(linear(silu(linear(waves of `to`)))), (B,) -> (B, emb): nothing at first, so that the
    network starts as the score that it was. ValueError where no time is given."""

    def __init__(self, width: int, emb: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), zero(nn.Linear(emb, emb)))

    def forward(self, to: Tensor | None, like: Tensor) -> Tensor:
        if to is None:
            raise ValueError("a network of two times needs `to`, where its flow ends; got None")
        return self.layers(cos_sin_embedding(to, self.width).to(like.dtype))
