"""The source image and its noised versions x_t ~ q(x_t | x_0): what energies and constraints see.

Which noise makes x_t (per image, so nothing couples a batch):
  "shared"       one eps makes the start and every x_t (official code, runners/egsde.py)
  "fresh"        a new eps every step (EGSDE, Algorithm 1)
  "expectation"  energies average over x_t: exactly where they are linear or quadratic in it
                 (`mean`), else over `draws` new samples a step
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from egsde.noise import Noise
from egsde.sde import SDE

DRAWS = {"shared": 1, "fresh": 1, "expectation": 4}


class FeatureNet(Protocol):
    """What has features (B, F, h, w) of x_t (B, C, H, W)."""

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """Of x at t, 0-d."""
        ...


def check_mode(mode: str) -> None:
    """Raise ValueError unless mode is a kind of source noise."""
    if mode not in DRAWS:
        raise ValueError(f"source_noise is {mode!r}; use one of {sorted(DRAWS)}")


@dataclass
class Source:
    """x0 (B, C, H, W) is the clean source; cond holds what came with it (mask, label, ...).

    current is the image that the start perturbs: x0, or the previous result when a translation is
    repeated. now is the time before the step in progress. Values are kept within one step (`begin`
    forgets them), eps of "shared" and `lasting`, what energies remember between steps, for the run.
    """

    x0: Tensor
    sde: SDE
    noise: Noise
    mode: str = "shared"
    cond: Mapping[str, Tensor] = field(default_factory=dict)
    current: Tensor | None = None

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.x0.is_inference():  # what energies differentiate may keep it for the way back
            same = self.current is self.x0
            self.x0 = self.x0.clone()
            self.current = self.x0 if same else self.current
            self.cond = {name: value.clone() for name, value in self.cond.items()}
        self.draws = DRAWS[self.mode]
        self.now: Tensor | None = None
        self.step = self._part = 0  # the step in progress
        self.lasting: dict[int, Any] = {}
        self._kept: dict[tuple, Tensor] = {}
        self._start_eps: Tensor | None = None

    def begin(self, step: int, t: Tensor | None = None) -> None:
        """Called by the loop before a step from time t: forget the last step's values."""
        self.step, self._part, self.now = step, 0, t
        self._kept.clear()

    def renew(self) -> None:
        """Called between the moves of one step: forget values, draw new noise for what follows."""
        self._part += 1
        self._kept.clear()

    def start(self, t: Tensor) -> Tensor:
        """The noised start alpha(t) current + sigma(t) eps; "shared" noise is this eps."""
        image = self.x0 if self.current is None else self.current
        return self.sde.perturb(image, t, self._eps_of_start())

    def encoded(self, y: Tensor, t: Tensor) -> None:
        """Take y at t as the noised source: the "shared" eps is what makes it of x_0."""
        self._start_eps = ((y - self.sde.alpha(t) * self.x0) / self.sde.sigma(t)).to(y.dtype)

    def at(self, t: Tensor, draw: int = 0) -> Tensor:
        """x_t of x_0, (B, C, H, W); within one step all times share the noise of a draw.

        t = 0 is clean, also for VE, whose sigma(0) = sigma_min: a denoised state meets it there.
        """
        if float(t) == 0:
            return self.x0
        return self._keep(
            ("x", float(t), draw), lambda: self.sde.perturb(self.x0, t, self._eps(draw))
        )

    def mean(self, t: Tensor) -> Tensor:
        """The average of x_t over what the mode averages: alpha(t) x_0, or x_t itself."""
        if self.mode == "expectation":
            return (self.sde.alpha(t) * self.x0).to(self.x0.dtype)
        return self.at(t)

    def mean_parts(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x_0, eps) of `mean`, alpha(t) x_0 + sigma(t) eps: eps is zero where it averages."""
        average = self.mode == "expectation"
        return self.x0, torch.zeros_like(self.x0) if average else self._eps(0)

    def average(self, function: Callable[[int], Tensor]) -> Tensor:
        """The mean of function(draw) over the draws of x_t that the mode asks for."""
        total = function(0)
        for draw in range(1, self.draws):
            total = total + function(draw)
        return total / self.draws

    def features(self, net: FeatureNet, t: Tensor, draw: int = 0) -> Tensor:
        """net.features(x_t, t), (B, F, h, w), without gradients, once per step."""
        with torch.no_grad():
            return self._keep(
                ("features", id(net), float(t), draw),
                lambda: net.features(self.at(t, draw), t),
            )

    def _eps_of_start(self) -> Tensor:
        if self._start_eps is None:
            self._start_eps = self.noise.stream("start")(self.x0)
        return self._start_eps

    def _eps(self, draw: int) -> Tensor:
        if self.mode == "shared":
            return self._eps_of_start()
        part = f".{self._part}" if self._part else ""
        key = f"source/{self.step}{part}/{draw}"
        return self._keep(("eps", draw), lambda: self.noise.stream(key)(self.x0))

    def _keep(self, key: tuple, make: Callable[[], Tensor]) -> Tensor:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]
