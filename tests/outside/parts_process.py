"""A process, a step, a sampler, a score and a network of a user."""

from collections import deque
from dataclasses import dataclass

import torch
from torch import nn

from egsde.scores import ScoreFunction
from egsde.sde import SDE
from egsde.solvers.base import Solver


@dataclass(frozen=True)
class Straight(SDE):
    """x_t = (1 - t) x_0 + t eps, up to T."""

    T: float = 0.98
    t_min: float = 0.02

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t * 1


@dataclass(frozen=True)
class PlainEuler(Solver):
    """x + (s - t) (f x - g^2 score / 2)"""

    weak_order = strong_order = 1.0

    def step(self, reverse, x, t, s, randn, carry=None):
        f, g = reverse.sde.drift(t), reverse.sde.diffusion(t)
        slope = f * x - 0.5 * g**2 * reverse.score(x, t)
        return (x + (s - t) * slope).to(x.dtype), None


@dataclass(frozen=True)
class Leaps:
    """A sampler without a solver: x_0 seen from x_t, noised again to s, with the same noise."""

    count: int = 2

    def times(self, sde, start):
        return torch.linspace(start, sde.t_noisy, self.count + 1, dtype=torch.float64)

    def trajectory(self, reverse, x, times, noise, constraint=None, source=None):
        eps = noise.stream("leap")(x)
        times = torch.stack([reverse.sde.snap(t) for t in times])
        yield 0, times[0], x
        for i, (t, s) in enumerate(zip(times, times[1:], strict=False)):
            source.begin(i, t)
            x0 = reverse.x0(x, t)
            x = reverse.sde.perturb(x0, s, eps)
            yield i + 1, s, x

    def run(self, *args):
        return deque(self.trajectory(*args), maxlen=1).pop()[2]


def grey(sde, knows=True):
    """The score of N(0, 1/4) pixels: a function becomes a score by the process that it is told."""

    def score(y, t, source=None):
        return -y / (0.25 * sde.alpha(t) ** 2 + sde.sigma(t) ** 2)

    return ScoreFunction(score, sde) if knows else score


class Small(nn.Module):
    """Two convolutions that see the time as a channel."""

    def __init__(self, width=8, in_channels=3):
        super().__init__()
        self.enter = nn.Conv2d(in_channels + 1, width, 3, padding=1)
        self.leave = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x, t):
        time = (t / 1000)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return self.leave(self.enter(torch.cat([x, time], 1)).relu())
