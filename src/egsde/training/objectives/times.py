"""Which times training sees: u uniform in [0, 1) -> (t, weight), weight the importance p / q.

`observe` is told the losses at the u just drawn; only a sampler that learns from them listens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from egsde.sde import SDE


class Times(Protocol):
    """(process, u) -> (t, weight), float64 like u (B, 1, 1, 1); weight: p / q, mean 1 under q."""

    def __call__(self, sde: SDE, u: Tensor) -> tuple[Tensor, Tensor]: ...

    def observe(self, u: Tensor, losses: Tensor) -> None:
        """Losses (B,) at the u of the last call; only `LossSecondMoment` learns from them."""
        ...


@dataclass(frozen=True)
class UniformTimes:
    """The process's own training times (`sde.training_time`).

    until: only the lowest such share of them, for models that never start from pure noise.
    ValueError unless 0 < until <= 1.
    """

    until: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise ValueError(f"until is a share of the times, in (0, 1], got {self.until}")

    def __call__(self, sde: SDE, u: Tensor) -> tuple[Tensor, Tensor]:
        return sde.training_time(self.until * u), torch.ones_like(u)

    def observe(self, u: Tensor, losses: Tensor) -> None:
        pass


@dataclass(frozen=True)
class LogNormal:
    """log(sigma / alpha) ~ N(mean, std^2) within the process's times (Karras 2022, table 1).

    A choice of its own and not an estimate of another average: weight 1.
    """

    mean: float = -1.2
    std: float = 1.2

    def __call__(self, sde: SDE, u: Tensor) -> tuple[Tensor, Tensor]:
        low = max(sde.t_train, sde.t_noisy if sde.t_min == 0 else 0.0)
        ends = torch.tensor([low, sde.T], dtype=torch.float64)
        first, last = torch.special.ndtr((-sde.log_snr(ends) - self.mean) / self.std).tolist()
        noise = self.mean + self.std * torch.special.ndtri(first + (last - first) * u)
        return sde.time(-noise), torch.ones_like(u)

    def observe(self, u: Tensor, losses: Tensor) -> None:
        pass


@dataclass(frozen=True)
class Importance:
    """q(t) proportional to g^2 / sigma^2: what levels the likelihood weighting (Song 2021).

    g^2 / sigma^2 is the slope of 2 log(sigma / alpha), so this is uniform in log SNR. q is constant
    over `cells` of u that shrink towards u = 0; the weights are exact for it.
    """

    cells: int = 2000

    def __call__(self, sde: SDE, u: Tensor) -> tuple[Tensor, Tensor]:
        edges, cumulative = (table.to(u.device) for table in _likelihood_cells(sde, self.cells))
        place, weight = _piecewise(edges, cumulative, u)
        return sde.training_time(place), weight

    def observe(self, u: Tensor, losses: Tensor) -> None:
        pass


@lru_cache(maxsize=8)
def _likelihood_cells(sde: SDE, cells: int) -> tuple[Tensor, Tensor]:
    inner = torch.logspace(-7, 0, cells, dtype=torch.float64)
    edges = torch.cat([torch.zeros(1, dtype=torch.float64), inner])
    t = sde.training_time((edges[1:] + edges[:-1]) / 2)
    rate = (sde.diffusion(t) / sde.sigma(t)).square()
    return edges, _cumulative(rate * edges.diff())


def _cumulative(mass: Tensor) -> Tensor:
    """0 .. 1 from the masses of cells."""
    return torch.cat([mass.new_zeros(1), (mass / mass.sum()).cumsum(0)]).clamp(max=1)


def _cell(cumulative: Tensor, u: Tensor) -> Tensor:
    found = torch.searchsorted(cumulative, u.contiguous(), right=True) - 1
    return found.clamp(0, len(cumulative) - 2)


def _piecewise(edges: Tensor, cumulative: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """u through the inverse of a piecewise linear distribution function; (place, 1 / density)."""
    cell = _cell(cumulative, u)
    width, mass = edges.diff()[cell], cumulative.diff()[cell]
    place = edges[cell] + (u - cumulative[cell]) / mass * width
    return place.clamp(max=1 - 1e-12), width / mass


class LossSecondMoment(nn.Module):
    """q proportional to sqrt(E loss^2) of the last `memory` losses per bin (Nichol 2021, eq. 18).

    Uniform until every bin is full. `floor`: the share that stays uniform. The memory is part of a
    checkpoint and the same on all ranks. bins: a chain's levels, or fewer. ValueError for a floor
    outside (0, 1].
    """

    history: Tensor
    seen: Tensor

    def __init__(self, bins: int = 100, memory: int = 10, floor: float = 1e-3) -> None:
        super().__init__()
        if not 0 < floor <= 1:
            raise ValueError(f"LossSecondMoment needs a floor in (0, 1], got {floor}")
        self.bins, self.memory, self.floor = bins, memory, floor
        self.register_buffer("history", torch.zeros(bins, memory, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(bins, dtype=torch.int64))

    def mass(self) -> Tensor:
        """The probability of each bin, (bins,)."""
        uniform = torch.full_like(self.history[:, 0], 1 / self.bins)
        moment = self.history.square().mean(1).sqrt()
        learned = (1 - self.floor) * moment / moment.sum() + self.floor * uniform
        return torch.where((self.seen >= self.memory).all(), learned, uniform)

    def __call__(self, sde: SDE, u: Tensor) -> tuple[Tensor, Tensor]:
        cumulative = _cumulative(self.mass()).to(u.device)
        edges = torch.linspace(0, 1, self.bins + 1, dtype=torch.float64, device=u.device)
        place, weight = _piecewise(edges, cumulative, u)
        return sde.training_time(place), weight

    @torch.no_grad()
    def observe(self, u: Tensor, losses: Tensor) -> None:
        bins = _cell(_cumulative(self.mass()).to(u.device), u.flatten())
        for index, loss in zip(_all(bins), _all(losses.detach().double()), strict=True):
            self.history[index] = self.history[index].roll(-1)
            self.history[index, -1] = loss
            self.seen[index] += 1


def _all(values: Tensor) -> Tensor:
    """The values of all ranks, in their order; alone, the same."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)
