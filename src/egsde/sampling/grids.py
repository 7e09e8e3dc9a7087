"""Time grids: t_start = t_0 > t_1 > ... > t_n, where a sampler's steps begin and end.

`steps` counts steps of a whole run from T; a translation from t_start runs the part
n = steps `sde.fraction(t_start)` of them. Grids end at t_min (0 for a chain) and are snapped to a
chain's levels; a grid that would visit a level twice is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from egsde.sde import SDE


class Grid(Protocol):
    """times(sde, start) -> float64 (n + 1,), falling from start to t_min; else ValueError."""

    def times(self, sde: SDE, start: float) -> Tensor: ...


def _snapped(
    grid: Grid, steps: int, sde: SDE, start: float, place: Callable[[int], Tensor]
) -> Tensor:
    """place(n) gives n + 1 falling times; check start and that snapping merges none of them."""
    sde.check_start(start)

    def snapped(n: int) -> Tensor:
        times = place(n)
        times[0], times[-1] = start, sde.t_min
        return sde.snap(times)

    fraction = float(sde.fraction(torch.tensor(start, dtype=torch.float64)))
    n = max(1, round(steps * fraction))
    times = snapped(n)
    if bool((times.diff() >= 0).any()):
        fewer = (k for k in range(n - 1, 0, -1) if bool((snapped(k).diff() < 0).all()))
        largest = next(fewer, 0)
        if not largest:
            raise ValueError(
                f"t_start={start} lies below the first level of {sde}; begin later: t_start=0.5 is "
                "half of the way to noise"
            )
        raise ValueError(
            f"{grid} visits a level of {sde} twice: from t_start={start} it can take at most "
            f"{largest} steps; use steps={int(largest / fraction)}"
        )
    return times


def _check_steps(grid: Grid, steps: int) -> None:
    if steps < 1:
        raise ValueError(f"{grid} needs at least one step")


@dataclass(frozen=True)
class Uniform:
    """t_i = start + (t_min - start) i / n; steps: over [t_min, T], at least 1."""

    steps: int = 1000

    def __post_init__(self) -> None:
        _check_steps(self, self.steps)

    def times(self, sde: SDE, start: float) -> Tensor:
        def place(n: int) -> Tensor:
            return torch.linspace(start, sde.t_min, n + 1, dtype=torch.float64)

        return _snapped(self, self.steps, sde, start, place)


@dataclass(frozen=True)
class AtOnce:
    """t_start alone: no step, and the sampler's denoising gives E[x_0 | x_start] in one evaluation.

    For a bridge whose end is a function of its start, as a taught one's. It ends in noise.
    """

    def times(self, sde: SDE, start: float) -> Tensor:
        sde.check_start(start)
        return torch.tensor([start], dtype=torch.float64)


@dataclass(frozen=True)
class EveryLevel:
    """All levels of a chain from t_start down; ValueError for a continuous process."""

    def times(self, sde: SDE, start: float) -> Tensor:
        if sde.levels is None:
            raise ValueError(f"{sde} is continuous and has no levels to visit; use sde=ddgan")
        sde.check_start(start)
        first = round(start * sde.levels)
        return torch.arange(first, -1, -1, dtype=torch.float64) / sde.levels


@dataclass(frozen=True)
class Quadratic:
    """sqrt(t_i) evenly spaced: dense near clean data (DDIM's "quad", Song 2021)."""

    steps: int = 50

    def __post_init__(self) -> None:
        _check_steps(self, self.steps)

    def times(self, sde: SDE, start: float) -> Tensor:
        def place(n: int) -> Tensor:
            root = torch.linspace(start**0.5, sde.t_min**0.5, n + 1, dtype=torch.float64)
            return root.square()

        return _snapped(self, self.steps, sde, start, place)


@dataclass(frozen=True)
class Respaced:
    """Evenly spaced from t_start to the first noisy time, then a step into clean data: the
    "timestep_respacing" of guided-diffusion (Nichol 2021), whose last step leaves level 1.

    A chain's levels are 1 + round(stride + ... + stride), summed and rounded as in its
    `space_timesteps`, so that networks see the very levels of the official code.
    """

    steps: int = 250

    def __post_init__(self) -> None:
        _check_steps(self, self.steps)

    def times(self, sde: SDE, start: float) -> Tensor:
        if sde.levels is None:
            place = _evenly_in(torch.clone, torch.clone, self, sde, start)
        else:
            place = partial(_respaced, sde.levels, round(start * sde.levels))
        return _snapped(self, self.steps, sde, start, place)


def _respaced(levels: int, first: int, n: int) -> Tensor:
    """n + 1 falling times of a chain from level `first`; the last is clean data."""
    stride = (first - 1) / max(n - 1, 1)
    indices = [round(index) for index in accumulate([stride] * (n - 1), initial=0.0)]
    noisy = 1 + torch.tensor(indices, dtype=torch.float64)
    return torch.cat([noisy.flip(0), noisy.new_zeros(1)]) / levels


@dataclass(frozen=True)
class LogSNR:
    """Evenly spaced log(alpha / sigma) (Lu 2022); a chain's last step goes from level 1 to 0.

    shift > 0 spaces -log(sigma / alpha + shift) evenly: steps widen where the noise falls below it
    (one grey level is 2 / 255), which lets few steps go where they matter. ValueError for a shift
    below 0.
    """

    steps: int = 20
    shift: float = 0.0

    def __post_init__(self) -> None:
        _check_steps(self, self.steps)
        if self.shift < 0:
            raise ValueError(f"{self} needs a shift of at least 0; 0.02 is one for few steps")

    def times(self, sde: SDE, start: float) -> Tensor:
        def place(t: Tensor) -> Tensor:
            return ((-sde.log_snr(t)).exp() + self.shift).log()

        def time(place: Tensor) -> Tensor:
            return sde.time(-(place.exp() - self.shift).log())

        return _snapped(self, self.steps, sde, start, _evenly_in(place, time, self, sde, start))


@dataclass(frozen=True)
class Karras:
    """Evenly spaced (sigma / alpha)^(1 / rho) (Karras 2022, eq. 5, with its N = steps + 1).

    On `sde.EDM` these are the paper's noise levels; its step to 0 is the sampler's `denoise`. A
    chain's last step goes from level 1 to 0. ValueError for rho of 0 or less.
    """

    steps: int = 17
    rho: float = 7.0

    def __post_init__(self) -> None:
        _check_steps(self, self.steps)
        if self.rho <= 0:
            raise ValueError(f"{self} needs rho above 0; 7 is usual")

    def times(self, sde: SDE, start: float) -> Tensor:
        def place(t: Tensor) -> Tensor:
            return (-sde.log_snr(t) / self.rho).exp()

        def time(place: Tensor) -> Tensor:
            return sde.time(-self.rho * place.log())

        return _snapped(self, self.steps, sde, start, _evenly_in(place, time, self, sde, start))


def _evenly_in(
    place: Callable[[Tensor], Tensor],
    time: Callable[[Tensor], Tensor],
    grid: Grid,
    sde: SDE,
    start: float,
) -> Callable[[int], Tensor]:
    """times(n) at even steps of place(time), `time` its inverse, then clean data."""
    ends = torch.tensor([start, sde.t_noisy], dtype=torch.float64)
    clean = torch.tensor([sde.t_min], dtype=torch.float64)
    jumps = int(sde.t_noisy > sde.t_min)  # the step into clean data, where sigma is 0

    def times(n: int) -> Tensor:
        first, last = place(sde.snap(ends)).tolist()
        if not math.isfinite(first):
            raise ValueError(f"{sde} has no signal at {start}, where {grid} starts; use Uniform")
        inner = time(torch.linspace(first, last, n + 1 - jumps, dtype=torch.float64))
        return torch.cat([inner, clean]) if jumps else inner

    return times
