"""What a network is given and what it predicts: the preconditioning (Karras 2022, table 1).

x = alpha x_0 + sigma eps and score = -eps / sigma. The network sees scale(alpha, sigma) x and a
time label; its output is compared with target(x_0, eps, alpha, sigma) and becomes the score by
score(output, x, alpha, sigma). Coefficients broadcast; nothing here divides by alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from egsde.sde import SDE

Label = Callable[["SDE", Tensor], Tensor]  # (sde, t) -> like t


@dataclass(frozen=True)
class NetworkTime:
    """The process's own label: a chain's index, 999 t (`sde.network_time`)."""

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        return sde.network_time(t)


@dataclass(frozen=True)
class LogSigma:
    """factor log(sigma / alpha): NCSN++ (Song 2021) with factor 1, EDM's c_noise with 1/4."""

    factor: float = 1.0

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        return -self.factor * sde.log_snr(t)


@dataclass(frozen=True)
class NoiseLevel:
    """scale times the share of signal, alpha / sqrt(alpha^2 + sigma^2): SR3's sqrt(gamma).

    SR3 (Saharia 2021, arXiv 2104.07636, section 2.2) tells the network the noise level instead of
    a step's index, so that the steps of sampling need not be those of training; it draws gamma
    uniformly between two levels of a chain, one step drawn before, to have seen all that lies
    between. On a continuous process training times already are continuous, and so is gamma: use
    one (sde=vp). The sinusoids of networks are made for labels of 0 to 1000, which scale gives
    (WaveGrad, whose label this is, has 5000).
    """

    of_level: ClassVar[bool] = True  # the process itself is not asked, but for alpha and sigma

    scale: float = 1000.0

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        return self.scale * alpha * (alpha.square() + sigma.square()).rsqrt()


@dataclass(frozen=True)
class Prediction:
    """label: what tells the network the time. raw_input: give it x itself, as NCSN++ does.

    Else the input is scaled to a second moment of 1 for data of a second moment of 1, which
    changes nothing where alpha^2 + sigma^2 = 1. ValueError for a label that is no function.
    """

    label: Label = NetworkTime()
    raw_input: bool = False

    def __post_init__(self) -> None:
        if not callable(self.label) or self.raw_input not in (True, False):
            raise ValueError(
                f"a label (sde, t) and raw_input, true or false, are wanted, got {self.label!r:.80}"
                f" and {self.raw_input!r:.80}"
            )

    def scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Factor of the network's input: 1 / sqrt(alpha^2 + sigma^2), or 1 for raw input."""
        if self.raw_input:
            return torch.ones_like(sigma)
        return self.input_scale(alpha, sigma)

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """1 / sqrt(E x_t^2) for data of second moment 1."""
        return (alpha.square() + sigma.square()).rsqrt()

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the output is compared with, like x_0."""
        raise NotImplementedError

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The score at x that an output stands for."""
        raise NotImplementedError

    def clean(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The clean image that an output at x stands for, (x + sigma^2 score) / alpha."""
        return (x + sigma.square() * self.score(output, x, alpha, sigma)) / alpha


@dataclass(frozen=True)
class EpsPrediction(Prediction):
    """The noise (Ho 2020): score = -net / sigma.

    This is the division by sigma of NCSNv2 and NCSN++ (`scale_by_sigma`), whose networks give the
    score as +net / sigma: their last layer has the other sign.
    """

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return -output / sigma


@dataclass(frozen=True)
class X0Prediction(Prediction):
    """The clean image: score = (alpha x_0 - x) / sigma^2."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return x0

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * output - x) / sigma.square()

    def clean(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return output  # where alpha is 0, too


@dataclass(frozen=True)
class VPrediction(Prediction):
    """The velocity (alpha eps - sigma x_0) / sqrt(alpha^2 + sigma^2) (Salimans 2022).

    The root is 1 on variance preserving processes, and keeps the target's size elsewhere.
    """

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * eps - sigma * x0) * self.input_scale(alpha, sigma)

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        scale = self.input_scale(alpha, sigma)
        return -scale * (scale * x + alpha / sigma * output)


@dataclass(frozen=True)
class VelocityPrediction(Prediction):
    """eps - x_0, the velocity of a straight path, which has alpha + sigma = 1 (Liu 2023)."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps - x0

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """eps = (x + alpha output) / (alpha + sigma)."""
        return -(x + alpha * output) / ((alpha + sigma) * sigma)


@dataclass(frozen=True)
class ScorePrediction(Prediction):
    """The score itself (NCSN, Song 2019); its target -eps / sigma has no bound at small sigma.

    Train it with a loss that weights by sigma^2 (`loss=dsm`), not with `loss=simple`.
    """

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return -eps / sigma

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return output


@dataclass(frozen=True)
class EDMPrediction(Prediction):
    """x_0 = c_skip x + c_out net(c_in x, c_noise) (Karras 2022, table 1), for any alpha and sigma.

    With r = sigma / alpha the noise level of x / alpha and v = sigma^2 + (alpha sigma_data)^2:
    c_in = 1 / sqrt(v), c_skip = alpha sigma_data^2 / v, c_out = sigma sigma_data / sqrt(v),
    c_noise = log(r) / 4. Mean squared error of the output is EDM's weighting, 1 / c_out^2.
    ValueError for sigma_data of 0 or less.
    """

    label: Label = LogSigma(0.25)
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma_data <= 0:
            raise ValueError(
                f"EDM needs sigma_data > 0, the data's standard deviation, got {self.sigma_data}"
            )

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return ((alpha * self.sigma_data).square() + sigma.square()).rsqrt()

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """(x_0 - c_skip x) / c_out, with x put in."""
        spread = sigma / self.sigma_data * x0 - alpha * self.sigma_data * eps
        return spread * self.input_scale(alpha, sigma)

    def score(self, output: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """(alpha x_0 - x) / sigma^2, without the cancellation at small sigma."""
        scale = self.input_scale(alpha, sigma)
        return scale * (alpha * self.sigma_data / sigma * output - scale * x)
