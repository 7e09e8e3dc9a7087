"""Scores made from scores (y, t, source) -> like y."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from egsde.scores.model import ScoreModel
from egsde.scores.process import Score, process_of
from egsde.sde import SDE


@dataclass(frozen=True)
class Clipped:
    """The score whose denoised image stays in the range of images: (alpha clip(x0-hat) - y) /
    sigma^2 (Ho 2020's sampler, "clip_denoised" of guided-diffusion).

    ValueError unless low < high.
    """

    score: Score
    low: float = field(default=-1.0, kw_only=True)
    high: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"Clipped needs low < high, got {self.low} and {self.high}")

    @property
    def sde(self) -> SDE:
        return process_of(self.score)

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        x0 = self.sde.denoised(y, t, self.score(y, t, source))
        return self.sde.score_of(x0.clamp(self.low, self.high), y, t)


@dataclass
class LearnedV:
    """A network's score and the v of its learned variance, from one evaluation (Nichol 2021).

    The network has a second half of channels, 2 v - 1 ("learn_sigma"); ValueError without.
    """

    score: ScoreModel
    _last: tuple[Tensor, Tensor, Tensor] | None = field(default=None, init=False, repr=False)

    @property
    def sde(self) -> SDE:
        return self.score.sde

    def __call__(self, y: Tensor, t: Tensor, source: object = None) -> Tensor:
        outputs = self.score.outputs(y, t)
        channels = y.shape[1]
        if outputs.shape[1] != 2 * channels:
            raise ValueError(
                f"a learned variance needs a network with {2 * channels} output channels, got "
                f"{outputs.shape[1]}; use one with learn_sigma=true or learned_variance=false"
            )
        self._last = y, t, (outputs[:, channels:] + 1) / 2
        sde = self.sde
        return self.score.prediction.score(outputs[:, :channels], y, sde.alpha(t), sde.sigma(t))

    def learned_v(self, y: Tensor, t: Tensor) -> Tensor:
        """v at (y, t), like y: kept from the last call where that was for the same y and t."""
        if self._last is None or self._last[0] is not y or self._last[1] is not t:
            self(y, t)
        assert self._last is not None
        return self._last[2]
