"""Energies of a user: with and without a network of their own, as a dataclass and as a class."""

from dataclasses import dataclass

import torch
from torch import nn

from egsde.energies import Energy


@dataclass(frozen=True)
class Bright(Energy):
    """(mean of y - level)^2"""

    level: float = 0.5

    def __call__(self, y, t, source):
        return (y.flatten(1).mean(1) - self.level).square()


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)
        nn.init.constant_(self.layer.weight, 0.05)

    def forward(self, y):
        return self.layer(y)


@dataclass(frozen=True)
class Judged(Energy):
    critic: nn.Module

    def __call__(self, y, t, source):
        return self.critic(y).flatten(1).square().mean(1)


class Seen(Energy):
    """The same as a plain class that makes its network itself."""

    def __init__(self, width=1.0):
        self.eye, self.width = Critic(), width

    def __call__(self, y, t, source):
        return self.width * self.eye(y - source.x0).flatten(1).square().mean(1)


def flat(y, t, source):
    """A function is an energy, too."""
    return torch.diff(y, dim=3).square().flatten(1).mean(1)
