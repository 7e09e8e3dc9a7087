"""A deterministic translator as a teacher: its walk from the noised source at a few times.

    y_M = alpha x + sigma eps(key) -> y_m -> y_0,    m even in log SNR between M and the last noise

With eta = 0 and the source's own noise in the energies y_0 is a function of (y_M, x) alone, so that
one network that sees both can learn it (Luhman 2021, arXiv 2101.02388, for generation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egsde.methods.diffusion import networks_of
from egsde.noise import Noise, Randn, Streams
from egsde.sde import SDE
from egsde.source import Source


@dataclass(frozen=True)
class StartAlone:
    """Noise of the start; ValueError where another number is drawn."""

    noise: Streams

    def stream(self, key: str) -> Randn:
        return self.noise.stream(key) if key == "start" else _refuse

    def child(self, key: object) -> StartAlone:
        return StartAlone(self.noise.child(key))


def _refuse(x: Tensor) -> Tensor:
    raise ValueError(
        "a student learns from a deterministic teacher, but this one draws noise on its way; use "
        "a solver without (sampler=ddim, or sampler.solver.eta=0) and source_noise=shared"
    )


@dataclass(frozen=True)
class Teacher:
    """translator: with a `trajectory`, whose states are kept at the ends of `segments` parts.

    sde: its process. score: its network of the target, where a student may start. recipe: what
    tells its pairs from another teacher's. images: source, target and size. ValueError for a
    translator that shows no states.
    """

    translator: Any
    sde: SDE
    score: Any = None
    segments: int = 2
    recipe: str = ""
    images: tuple[str, str, int] | None = None

    def __post_init__(self) -> None:
        if not hasattr(self.translator, "trajectory"):
            raise ValueError(
                f"{type(self.translator).__name__} shows no states on its way, so a student cannot "
                "learn from it; use egsde, sdedit, ddib, ddib_egsde or cycle_egsde, with "
                "sampler=ddim"
            )
        if self.segments < 1:
            raise ValueError(f"a walk has at least one segment, got segments={self.segments}")

    def to(self, device: torch.device) -> None:
        """Its networks, which are parts of no module that Lightning moves."""
        for network in networks_of(self.translator).values():
            network.to(device)

    def walk(self, x0: Tensor, ids: Sequence[str], key: int) -> tuple[Tensor, list[float]]:
        """States (B, segments + 1, C, H, W), from y_M to y_0, and their times."""
        noise = StartAlone(Noise(key, ids))
        states = [(float(t), y) for _, t, y in self.translator.trajectory(x0, noise)]
        chosen = ends(self.sde, [t for t, _ in states], self.segments)
        kept, times = [states[i][1] for i in chosen], [states[i][0] for i in chosen]
        # Where the student starts, which is the teacher's own start unless that encodes the source.
        first = torch.tensor(times[0], dtype=torch.float64)
        kept[0] = Source(x0, self.sde, Noise(key, ids).child(0)).start(first)
        return torch.stack(kept, 1), times


def ends(sde: SDE, times: Sequence[float], segments: int) -> list[int]:
    """Where `segments` parts of a walk begin and end, nearly even in log SNR; ValueError for a walk
    of fewer steps."""
    if len(times) <= segments:
        raise ValueError(f"a walk of {len(times) - 1} steps has no {segments} segments")
    at = torch.tensor(times, dtype=torch.float64)
    levels = sde.log_snr(at[:-1])  # the end may be clean
    wanted = levels[0] + (levels[-1] - levels[0]) * torch.arange(1, segments) / segments
    found = [0]
    for left, level in zip(range(segments - 1, 0, -1), wanted, strict=True):
        nearest = int((levels - level).abs().argmin())
        found.append(min(max(nearest, found[-1] + 1), len(times) - 1 - left))
    return [*found, len(times) - 1]
